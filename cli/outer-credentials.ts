/** How a command speaks to the proxy: TLS when asked for. The seal does not depend on it. */
import { readFile } from "node:fs/promises";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";

/** `--tls` and `--tls-ca`, the latter implying the former. */
export interface TlsFlags {
  readonly tls?: boolean;
  readonly tlsCa?: string;
}

/** Credentials of the outer channel. */
export async function outerCredentials({ tls, tlsCa }: TlsFlags): Promise<ChannelCredentials> {
  if (tlsCa !== undefined) return credentials.createSsl(await readFile(tlsCa));
  return tls === true ? credentials.createSsl() : credentials.createInsecure();
}
