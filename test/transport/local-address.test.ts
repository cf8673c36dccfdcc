import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAddress } from "../../transport/address.ts";
import { isLocal } from "../../transport/local-address.ts";

describe("isLocal", () => {
  const check = (text: string): boolean => isLocal(parseAddress(text));

  it("is true of loopback and Unix sockets", () => {
    for (const text of ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/x"]) {
      assert.equal(check(text), true, text);
    }
  });

  it("is false of everything else", () => {
    const others = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "[fe80::1]:1"];
    others.push("example.com:1", "localhost.example.com:1", "[::ffff:10.0.0.1]:1");
    others.push("vsock:2:1", "vsock+uds:/x:1");
    for (const text of others) {
      assert.equal(check(text), false, text);
    }
  });
});
