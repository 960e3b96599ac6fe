-- The login of the webhook (docs/events.md), made once after those of logins.sql; where these were made before there was
-- one, the administrator runs this file by hand (docs/deployment.md, "Upgrade").
\set ON_ERROR_STOP on
\getenv webhook_password WEBHOOK_DB_PASSWORD

BEGIN; -- so that a password that is missing leaves nothing half made, and this can be run again
SET LOCAL log_statement = 'none';
SET LOCAL log_min_error_statement = 'panic'; -- nor when it fails
SET LOCAL password_encryption = 'scram-sha-256';

SELECT 'CREATE ROLE marrowline_webhook NOLOGIN' -- an owner who may make roles has made it already
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'marrowline_webhook') \gexec
CREATE ROLE webhook LOGIN PASSWORD :'webhook_password' IN ROLE marrowline_webhook CONNECTION LIMIT 8;
GRANT CONNECT ON DATABASE :"DBNAME" TO marrowline_webhook;
COMMIT;
