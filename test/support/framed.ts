/** Messages of plain gRPC as HTTP/2 DATA has them. */

/** A message behind its prefix. */
export function framed(message: Uint8Array, compressed: boolean = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts whole messages out of the bytes of one direction. */
export function unframed(bytes: Buffer): { message: Buffer; compressed: boolean }[] {
  const messages: { message: Buffer; compressed: boolean }[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push({ message: bytes.subarray(at + 5, end), compressed: bytes[at] === 1 });
    at = end;
  }
  return messages;
}
