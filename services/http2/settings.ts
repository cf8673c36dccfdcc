/** Settings of HTTP/2 connections that carry plain gRPC, at either end. */

/**
 * What a peer may have on its way to us, on one stream and on a whole connection. There is no
 * distance to fill. Node stops reading while it writes: what the socket's buffers can hold never
 * makes a peer that is Node too wait for us while we wait for it.
 */
export const WINDOW_BYTES: number = 128 * 1024;

/** Of a block that is received: RequestHeader has 64 KiB, and base64 takes a third more. */
export const MAX_HEADER_BYTES: number = 96 * 1024;
/** Of a block that is sent: a status text may take three bytes for one. */
export const MAX_SENT_HEADER_BYTES: number = 256 * 1024;
/** Fields of a block that is received. */
export const MAX_HEADER_FIELDS = 1024;
