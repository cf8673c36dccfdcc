/** The product's proxy, as a process of its own: `proxy.js ENCLAVE`. */
import { startProxy } from "../services/proxy/index.ts";

const [enclave = ""] = process.argv.slice(2);
const proxy = await startProxy({ listen: "127.0.0.1:0", enclave });
process.send?.({ address: proxy.address });
process.on("disconnect", () => process.exit(0));
