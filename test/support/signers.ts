/** Throwaway signers of images, made by openssl. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SignerFiles {
  readonly key: string;
  readonly certificate: string;
}

/** A key of a curve with a certificate for it, PEM; valid from now for `days`. */
export function createSigner(curve = "P-384", days = 2): SignerFiles {
  const folder = mkdtempSync(join(tmpdir(), "signer-"));
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const kind = curve === "rsa" ? "rsa:2048" : "ec";
  const options = curve === "rsa" ? [] : ["-pkeyopt", `ec_paramgen_curve:${curve}`];
  const { status, stderr } = spawnSync("openssl", [
    ..."req -x509 -nodes -subj /CN=releases.example -newkey".split(" "),
    kind,
    ...options,
    ...`-days ${days} -keyout ${key} -out ${certificate}`.split(" "),
  ]);
  if (status !== 0) throw new Error(String(stderr));
  const files = {
    key: readFileSync(key, "utf8"),
    certificate: readFileSync(certificate, "utf8"),
  };
  rmSync(folder, { recursive: true });
  return files;
}
