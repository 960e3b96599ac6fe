-- One row per finished reading: how its slide's stain differs from that of the laboratory's earlier slides.
-- Per component, (value - median) / greatest of 1.4826 * median absolute deviation and the component's floor; then the
-- root of the mean square over the components that at least 20 of the up to 200 earlier slides have.
-- worker.cells.stain_profile.drift computes the same.
CREATE VIEW report.stain_drift AS
SELECT lab.code AS lab,
       patient.pseudonym AS patient,
       slide.id AS slide_id,
       slide.key,
       run.id AS run_id,
       run.finished_at,
       coalesce(jsonb_array_length(earlier.profiles), 0) AS earlier_slides,
       distance.drift,
       distance.components,
       run.stain_profile
  FROM public.run
  JOIN public.slide ON slide.id = run.slide_id
  JOIN public.patient ON patient.id = slide.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
 CROSS JOIN LATERAL (
    SELECT jsonb_agg(lately.stain_profile) AS profiles
      FROM (SELECT other.stain_profile
              FROM public.run AS other
              JOIN public.slide AS its ON its.id = other.slide_id
              JOIN public.patient AS whose ON whose.id = its.patient_id
             WHERE whose.lab_id = patient.lab_id AND other.model_version_id = run.model_version_id
               AND other.state = 'done' AND other.stain_profile IS NOT NULL
               AND (other.finished_at, other.id) < (run.finished_at, run.id)
             ORDER BY other.finished_at DESC, other.id DESC LIMIT 200) AS lately
  ) AS earlier
 CROSS JOIN LATERAL (
    SELECT sqrt(avg(power((own.value::float8 - middle.value) / greatest(1.4826 * spread.value, least.value), 2)))
             AS drift,
           count(*) AS components
      FROM jsonb_each_text(run.stain_profile) AS own (name, value)
      JOIN (VALUES ('background_r', 6.0), ('background_g', 6.0), ('background_b', 6.0),
                   ('nucleus_r', 0.06), ('nucleus_g', 0.06), ('nucleus_b', 0.06),
                   ('red_cell_r', 0.03), ('red_cell_g', 0.03), ('red_cell_b', 0.03),
                   ('cytoplasm_r', 0.05), ('cytoplasm_g', 0.05), ('cytoplasm_b', 0.05)) AS least (name, value)
        ON least.name = own.name
     CROSS JOIN LATERAL (
        SELECT array_agg((one.profile ->> own.name)::float8) AS known
          FROM jsonb_array_elements(earlier.profiles) AS one (profile) WHERE one.profile ? own.name
     ) AS told
     CROSS JOIN LATERAL (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY known.value) AS value
          FROM unnest(told.known) AS known (value)
     ) AS middle
     CROSS JOIN LATERAL (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(known.value - middle.value)) AS value
          FROM unnest(told.known) AS known (value)
     ) AS spread
     WHERE cardinality(told.known) >= 20
  ) AS distance
 WHERE run.state = 'done' AND run.stain_profile IS NOT NULL;

COMMENT ON VIEW report.stain_drift IS
  'How each slide''s stain differs from the laboratory''s earlier ones. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.stain_drift.drift IS
  'Distance in robust standard deviations: about 1 is usual; NULL with fewer than 20 earlier slides';
COMMENT ON COLUMN report.stain_drift.components IS 'How many of the twelve components it rests on';
COMMENT ON COLUMN report.stain_drift.stain_profile IS
  'Background (0-255) and optical densities of nuclei, red cells and basophilic cytoplasm per channel';
