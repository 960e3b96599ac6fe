-- Logins of the parts, made once, when the data folder is empty. The administrator runs it with psql.
-- The group roles are those of db/roles.sql: made here, because the owner of the tables may not create roles.
-- Passwords come from the environment, so that they never stand in a command line or in this file.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_DB_PASSWORD
\getenv scheduler_password SCHEDULER_DB_PASSWORD
\getenv worker_password WORKER_DB_PASSWORD
\getenv report_password REPORT_DB_PASSWORD

SET log_statement = 'none';
SET log_min_error_statement = 'panic'; -- nor when one of them fails
SET password_encryption = 'scram-sha-256';

CREATE ROLE marrowline_scheduler NOLOGIN;
CREATE ROLE marrowline_worker NOLOGIN;
CREATE ROLE marrowline_report NOLOGIN;
CREATE ROLE marrowline_lab NOLOGIN;

CREATE ROLE owner LOGIN PASSWORD :'owner_password';
CREATE ROLE scheduler LOGIN PASSWORD :'scheduler_password' IN ROLE marrowline_scheduler CONNECTION LIMIT 30;
CREATE ROLE worker LOGIN PASSWORD :'worker_password' IN ROLE marrowline_worker;
CREATE ROLE report LOGIN PASSWORD :'report_password' IN ROLE marrowline_report CONNECTION LIMIT 30;
-- `marrowline sql` steps down to the reporting role; the scheduler may read those views anyway.
GRANT marrowline_report TO scheduler WITH INHERIT FALSE, SET TRUE;
ALTER ROLE report SET default_transaction_read_only = on;
ALTER ROLE report SET statement_timeout = '60s';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO marrowline_scheduler, marrowline_worker, marrowline_report, marrowline_lab;
ALTER DATABASE :"DBNAME" OWNER TO owner;
