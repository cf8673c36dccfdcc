/** How a command speaks to the proxy: TLS when asked for. The seal does not depend on it. */
import { readFile } from "node:fs/promises";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";

/** `--tls` and, each implying it, `--tls-ca` and a certificate of the client's own with its key. */
export interface TlsFlags {
  readonly tls?: boolean | undefined;
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

/** Credentials of the outer channel. */
export async function outerCredentials(flags: TlsFlags): Promise<ChannelCredentials> {
  const { tls, tlsCa, tlsCert, tlsKey } = flags;
  if (tls !== true && (tlsCa ?? tlsCert ?? tlsKey) === undefined) {
    return credentials.createInsecure();
  }
  const [ca, key, cert] = await Promise.all([tlsCa, tlsKey, tlsCert].map(readOptional));
  return credentials.createSsl(ca, key, cert);
}

async function readOptional(file: string | undefined): Promise<Buffer | null> {
  return file === undefined ? null : readFile(file);
}
