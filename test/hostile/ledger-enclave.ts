/** The enclave of the hostile-host tests, as a process: `ledger-enclave.js ADDRESS`. */
import { Simulator } from "../../attestation/nsm/index.ts";
import { EnclaveServer } from "../../services/enclave/index.ts";
import { ledgerHandlers, ledgerService } from "./ledger-service.ts";

const [address = ""] = process.argv.slice(2);
const simulator = await Simulator.create({});
const server = new EnclaveServer({ attester: simulator });
server.addService(ledgerService, ledgerHandlers());
await server.listen(address);
console.log(`LISTENING ${JSON.stringify(simulator.policyOptions())}`);
process.on("SIGTERM", () => {
  void server.close().then(() => process.exit(0));
});
