-- The login of the webhook (docs/events.md), made once after those of logins.sql; where these were made before there was
-- one, the administrator runs this file by hand (docs/deployment.md, "Upgrade").
\set ON_ERROR_STOP on
\getenv webhook_password WEBHOOK_DB_PASSWORD

SET log_statement = 'none';
SET password_encryption = 'scram-sha-256';

CREATE ROLE marrowline_webhook NOLOGIN;
CREATE ROLE webhook LOGIN PASSWORD :'webhook_password' IN ROLE marrowline_webhook CONNECTION LIMIT 8;
GRANT CONNECT ON DATABASE :"DBNAME" TO marrowline_webhook;
