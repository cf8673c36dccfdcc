/** Throwaway certificates for TLS in tests, each its own authority, made by openssl. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

/** Why no certificates can be made here; false when they can. */
export const noOpenssl: string | false =
  spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";

/** A certificate for localhost with its key, PEM. */
export function selfSigned(commonName: string): SelfSigned {
  const folder = mkdtempSync(join(tmpdir(), "tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" ");
  const names = ["-subj", `/CN=${commonName}`, "-addext", "subjectAltName=DNS:localhost"];
  const { status, stderr } = spawnSync("openssl", [
    ...request,
    ...names,
    "-keyout",
    key,
    "-out",
    cert,
  ]);
  if (status !== 0) {
    throw new Error(String(stderr));
  }
  const pair = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  rmSync(folder, { recursive: true });
  return pair;
}
