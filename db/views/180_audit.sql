-- One row per sealed entry of a laboratory's steps, verdicts and corrections, in the order in which they were committed.
-- Each part names laboratory and patient itself, so that a question for these begins with them; OFFSET keeps the planner from
-- reading the whole chain.
CREATE VIEW report.audit AS
SELECT lab.code AS lab, patient.pseudonym AS patient, audit.seq, audit.kind, slide.id AS slide_id, run.id AS run_id,
       step.actor, concat_ws(' -> ', step.from_state, step.to_state) AS what, step.reason,
       audit.sealed_at, audit.row_sha256, audit.hash
  FROM public.lab
  JOIN public.patient ON patient.lab_id = lab.id
  JOIN public.slide ON slide.patient_id = patient.id
  JOIN public.run ON run.slide_id = slide.id
  JOIN public.transition AS step ON step.run_id = run.id
 CROSS JOIN LATERAL (
    SELECT * FROM public.audit WHERE audit.kind = 'transition' AND audit.subject = step.id::text OFFSET 0
  ) AS audit
 UNION ALL
SELECT lab.code, patient.pseudonym, audit.seq, audit.kind, NULL, NULL, NULL, past.finding, past.reason,
       audit.sealed_at, audit.row_sha256, audit.hash
  FROM public.lab
  JOIN public.patient ON patient.lab_id = lab.id
  JOIN public.verdict_history AS past ON past.patient_id = patient.id
 CROSS JOIN LATERAL (
    SELECT * FROM public.audit
     WHERE audit.kind = 'verdict'
       AND audit.subject = concat_ws('/', past.patient_id, past.model_version_id, past.rev) OFFSET 0
  ) AS audit
 UNION ALL
SELECT lab.code, patient.pseudonym, audit.seq, audit.kind, slide.id, run.id, correction.made_by,
       'cell ' || concat_ws('/', correction.batch_no, correction.cell_no) || ' is ' || correction.cell_class,
       correction.note, audit.sealed_at, audit.row_sha256, audit.hash
  FROM public.lab
  JOIN public.patient ON patient.lab_id = lab.id
  JOIN public.slide ON slide.patient_id = patient.id
  JOIN public.run ON run.slide_id = slide.id
  JOIN public.correction ON correction.run_id = run.id
 CROSS JOIN LATERAL (
    SELECT * FROM public.audit WHERE audit.kind = 'correction' AND audit.subject = correction.id::text OFFSET 0
  ) AS audit;

COMMENT ON VIEW report.audit IS
  'What happened to each slide and finding, sealed in a chain of hashes. Research use only, not for diagnostic procedures.';
COMMENT ON COLUMN report.audit.lab IS 'Code of the laboratory';
COMMENT ON COLUMN report.audit.patient IS 'Pseudonym as the laboratory gave it';
COMMENT ON COLUMN report.audit.seq IS 'Place in the chain of all laboratories, without gaps there';
COMMENT ON COLUMN report.audit.kind IS 'transition (a step of a reading), verdict or correction';
COMMENT ON COLUMN report.audit.slide_id IS 'Number of the slide, NULL for a verdict';
COMMENT ON COLUMN report.audit.run_id IS 'Number of the reading, NULL for a verdict';
COMMENT ON COLUMN report.audit.actor IS 'Who did it: a worker, the scheduler, or a person''s name; NULL for a verdict';
COMMENT ON COLUMN report.audit.what IS 'The step, the finding, or the cell with its corrected class';
COMMENT ON COLUMN report.audit.reason IS 'Why, in words';
COMMENT ON COLUMN report.audit.sealed_at IS 'When the transaction began that it was committed in';
COMMENT ON COLUMN report.audit.row_sha256 IS 'SHA-256 of the stored row';
COMMENT ON COLUMN report.audit.hash IS 'Hash over the row''s and the entry before; `marrowline db verify-audit` checks it';
