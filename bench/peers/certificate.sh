#!/bin/sh
# The certificate and the key with which the tests of `residual get` answer in the place of publishers: signed by
# itself, and trusted by whoever names it in SSL_CERT_FILE alone.
#
#     sh bench/peers/certificate.sh crates/residual/tests/cli/tls
set -e
out=$(realpath "$1")
work=$(mktemp -d)
cd "$work"
touch index
cat > ca.conf <<CONF
[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
default_md = sha256
policy = any
rand_serial = yes
x509_extensions = names
[any]
commonName = supplied
[names]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:huggingface.co
CONF
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$out/key.pem" -out request -subj "/CN=huggingface.co" 2> log
openssl ca -batch -selfsign -config ca.conf -keyfile "$out/key.pem" -in request -out certificate \
    -startdate 20200101000000Z -enddate 21200101000000Z 2> log || { cat log; exit 1; }
openssl x509 -in certificate -out "$out/certificate.pem"
chmod 644 "$out/key.pem"
rm -r "$work"
