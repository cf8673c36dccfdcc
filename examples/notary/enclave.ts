#!/usr/bin/env node
/**
 * The program that runs in the enclave.
 *
 *     node enclave.js --listen vsock:any:5000
 *     node enclave.js --listen unix:/tmp/enclave.sock --attester simulator --write-policy policy.json
 *
 * With --reflection, `sealrpc call` and grpcurl need no .proto file.
 *
 * The second line is for a machine without an enclave: what it attests to proves nothing, and only
 * clients with the policy that it writes believe it.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { EnclaveServer } from "sealrpc/enclave";
import { type Attester, Simulator } from "sealrpc/nsm";
import { NotaryService } from "#gen/notary/v1/notary_pb.js";
import { createNotary } from "./notary.ts";

try {
  await main();
} catch (error) {
  console.error(`notary: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      listen: { type: "string", default: "vsock:any:5000" },
      attester: { type: "string", default: "nsm" },
      "write-policy": { type: "string" },
      reflection: { type: "boolean", default: false },
    },
  });
  const attester = await attesterNamed(values.attester, values["write-policy"]);
  const server = new EnclaveServer({
    reflection: values.reflection,
    ...(attester === undefined ? {} : { attester }),
  });
  server.addService(NotaryService, createNotary());
  const address = await server.listen(values.listen);
  console.error(`notary listening on ${address}`);

  process.once("SIGTERM", () => {
    process.once("SIGTERM", () => process.exit(1));
    void server.shutdown();
  });
}

/** Undefined stands for the NSM device, which the server opens by itself. */
async function attesterNamed(
  name: string,
  policyFile: string | undefined,
): Promise<Attester | undefined> {
  if (name === "simulator") {
    const simulator = await Simulator.create();
    console.error("SIMULATED: this is no enclave, and its host can read everything in it.");
    if (policyFile !== undefined) {
      writeFileSync(policyFile, `${JSON.stringify(simulator.policyOptions(), null, 2)}\n`);
    }
    return simulator;
  }
  if (name !== "nsm") throw new TypeError(`--attester: expected nsm or simulator, not ${name}`);
  if (policyFile !== undefined) {
    throw new TypeError("--write-policy is for the simulator: pin what the image's build measured");
  }
  return undefined;
}
