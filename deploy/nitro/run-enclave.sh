#!/bin/sh
# Starts an enclave, waits until it answers, prints what it attests, and stays until it ends or until
# SIGTERM, which ends the enclave. For systemd (../systemd/sealrpc-enclave.service), Kubernetes
# (../kubernetes) and by hand:
#
#   run-enclave.sh enclave.json
#
# SEALRPC_PORT     the VSOCK port of the program in the enclave (5000)
# SEALRPC_POLICY   a policy file: an enclave that it does not admit is ended again
# SEALRPC_WAIT     seconds that the enclave may take to answer (60)
#
# Needs nitro-cli and sealrpc in PATH. What is printed here tells an operator what runs; it convinces
# nobody else, who could not know whether this host tells the truth: clients verify for themselves.
set -eu

config=${1:?usage: run-enclave.sh CONFIG.json}
port=${SEALRPC_PORT:-5000}
patience=${SEALRPC_WAIT:-60}
enclave=
proxy=
folder=$(mktemp -d)

field() { # the value of a field of the JSON on standard input
    node -e 'console.log(JSON.parse(require("fs").readFileSync(0))[process.argv[1]])' "$1"
}

# shellcheck disable=SC2329 # by the trap
finish() {
    trap - EXIT
    if [ -n "$proxy" ]; then kill "$proxy" 2>/dev/null || true; fi
    if [ -n "$enclave" ]; then nitro-cli terminate-enclave --enclave-id "$enclave" >&2 || true; fi
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' TERM INT

started=$(nitro-cli run-enclave --config "$config")
enclave=$(echo "$started" | field EnclaveID)
process=$(echo "$started" | field ProcessID)
cid=$(echo "$started" | field EnclaveCID)
echo "run-enclave: $enclave has CID $cid" >&2

# A proxy of its own, for a moment: the one that clients use may have TLS, or not be there yet.
sealrpc proxy --log-level silent --listen "unix:$folder/proxy" \
    --enclave "${SEALRPC_ENCLAVE:-vsock:$cid:$port}" &
proxy=$!
set -- "unix:$folder/proxy" ${SEALRPC_POLICY:+--policy "$SEALRPC_POLICY"}
until sealrpc attest "$@" >"$folder/attested" 2>"$folder/refused"; do
    patience=$((patience - 1))
    if [ "$patience" -le 0 ] || ! kill -0 "$process" || ! grep -q UNAVAILABLE "$folder/refused"; then
        cat "$folder/refused" >&2
        exit 1
    fi
    sleep 1
done
kill "$proxy"
proxy=
cat "$folder/attested"

# nitro-cli leaves a process behind that is there for as long as the enclave is.
while kill -0 "$process" 2>/dev/null; do
    sleep 1 &
    wait $! || true
done
echo "run-enclave: $enclave has ended" >&2
enclave=
exit 1
