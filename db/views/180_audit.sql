-- One row per sealed entry of a laboratory's steps, verdicts and corrections, in the order in which they were committed.
-- It begins with the chain, so that the newest entries are found from its end, and a patient's by their index.
CREATE VIEW report.audit AS
SELECT lab.code AS lab, patient.pseudonym AS patient, audit.seq, audit.kind, told.slide_id, told.run_id,
       told.actor, told.what, told.reason, audit.sealed_at, audit.row_sha256, audit.hash
  FROM public.audit
  JOIN public.patient ON patient.id = audit.patient_id
  JOIN public.lab ON lab.id = patient.lab_id
 CROSS JOIN LATERAL (
    SELECT run.slide_id, run.id AS run_id, step.actor,
           concat_ws(' -> ', step.from_state, step.to_state) AS what, step.reason
      FROM public.transition AS step JOIN public.run ON run.id = step.run_id
     WHERE audit.kind = 'transition'
       AND step.id = CASE WHEN audit.kind = 'transition' THEN audit.subject::bigint END
     UNION ALL
    SELECT NULL, NULL, NULL, past.finding, past.reason
      FROM public.verdict_history AS past
     WHERE audit.kind = 'verdict'
       AND past.patient_id = audit.patient_id
       AND past.model_version_id = CASE WHEN audit.kind = 'verdict' THEN split_part(audit.subject, '/', 2)::bigint END
       AND past.rev = CASE WHEN audit.kind = 'verdict' THEN split_part(audit.subject, '/', 3)::bigint END
     UNION ALL
    SELECT run.slide_id, run.id, correction.made_by,
           'cell ' || concat_ws('/', correction.batch_no, correction.cell_no) || ' is ' || correction.cell_class,
           correction.note
      FROM public.correction JOIN public.run ON run.id = correction.run_id
     WHERE audit.kind = 'correction'
       AND correction.id = CASE WHEN audit.kind = 'correction' THEN audit.subject::bigint END
  ) AS told;

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
