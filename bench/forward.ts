/** A layer-4 forwarder, as a process of its own: what a host would run in front of TLS. */
import { connect, createServer, type AddressInfo } from "node:net";

const [target = ""] = process.argv.slice(2);
const [host = "", port = ""] = target.split(":");

const server = createServer({ noDelay: true, allowHalfOpen: true }, (front) => {
  const back = connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true });
  front.pipe(back);
  back.pipe(front);
  front.on("error", () => back.destroy());
  back.on("error", () => front.destroy());
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
});
process.on("disconnect", () => process.exit(0));
