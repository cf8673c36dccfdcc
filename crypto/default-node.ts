/** The backend where Node's modules are: what `#default-backend` means there. */

export { nodeBackend as defaultBackend } from "./node.ts";
