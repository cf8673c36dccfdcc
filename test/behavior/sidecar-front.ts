/** The client's half of a way through a sidecar: client, forwarder, sidecar, the host's proxy. */
import * as grpc from "@grpc/grpc-js";
import type { PolicyOptions } from "../../attestation/policy.ts";
import { startProxy } from "../../services/proxy/index.ts";
import { startSidecar } from "../../services/sidecar/index.ts";
import { Forwarder } from "../support/forwarder.ts";
import { type Harness, linkOf } from "./harness.ts";
import { BehaviorClient, plainOptions } from "./service.ts";

/** What a harness takes of it. */
export interface SidecarFront extends Pick<Harness, "client"> {
  readonly link: Harness["links"][number];
  close(): Promise<void>;
}

/** Starts it in front of the enclave at `enclaveSocket`. */
export async function startSidecarFront(
  enclaveSocket: string,
  policy: PolicyOptions,
): Promise<SidecarFront> {
  const proxy = await startProxy({ listen: "127.0.0.1:0", enclave: `unix:${enclaveSocket}` });
  const sidecar = await startSidecar({ listen: "127.0.0.1:0", target: proxy.address, policy });
  const [host = "", port] = sidecar.address.split(":");
  const front = await Forwarder.start({ host, port: Number(port) });
  return {
    link: linkOf("client to sidecar", front),
    client: (interceptors) =>
      new BehaviorClient(
        `127.0.0.1:${front.port}`,
        grpc.credentials.createInsecure(),
        plainOptions(interceptors),
      ),
    async close() {
      await front.down();
      await sidecar.close(0);
      await proxy.close(0);
    },
  };
}
