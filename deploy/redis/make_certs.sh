#!/bin/sh
# Makes a certificate authority of its own and Redis's certificate in the folder given: ca.crt, redis.crt, redis.key.
# The authority's key is thrown away: for a new certificate make all of them again.
set -eu
umask 077
folder=${1:?give the folder for the certificates}
name=${2:-redis}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey rsa:3072 -nodes -sha256 -days 825 -subj "/CN=Marrowline broker" \
  -addext "basicConstraints=critical,CA:true,pathlen:0" -addext "keyUsage=critical,keyCertSign" \
  -keyout "$work/ca.key" -out "$folder/ca.crt" 2>/dev/null
openssl req -newkey rsa:3072 -nodes -sha256 -subj "/CN=$name" \
  -keyout "$folder/redis.key" -out "$work/redis.csr" 2>/dev/null
printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$name" > "$work/names"
openssl x509 -req -sha256 -days 825 -in "$work/redis.csr" -CA "$folder/ca.crt" -CAkey "$work/ca.key" -CAcreateserial \
  -CAserial "$work/serial" -extfile "$work/names" -out "$folder/redis.crt" 2>/dev/null
chmod 644 "$folder/ca.crt" "$folder/redis.crt"
