import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type Address,
  formatAddress,
  parseAddress,
  VSOCK_CID_ANY,
} from "../../transport/address.ts";

const numRuns = Number(process.env["FUZZ_RUNS"] ?? 100);

describe("parseAddress", () => {
  const good: [string, Address][] = [
    ["api.example.com:443", { kind: "tcp", host: "api.example.com", port: 443 }],
    ["127.0.0.1:0", { kind: "tcp", host: "127.0.0.1", port: 0 }],
    ["[::1]:65535", { kind: "tcp", host: "::1", port: 65535 }],
    ["unix:/run/a b:c.sock", { kind: "unix", path: "/run/a b:c.sock" }],
    ["vsock:16:5000", { kind: "vsock", cid: 16, port: 5000 }],
    ["vsock:any:5000", { kind: "vsock", cid: VSOCK_CID_ANY, port: 5000 }],
    ["vsock:4294967294:4294967294", { kind: "vsock", cid: 0xfffffffe, port: 0xfffffffe }],
    ["vsock+uds:/v/m.vsock:52", { kind: "hybrid-vsock", path: "/v/m.vsock", port: 52 }],
    ["vsock+uds:/v/m:1:52", { kind: "hybrid-vsock", path: "/v/m:1", port: 52 }],
  ];
  for (const [text, address] of good) {
    it(`reads ${text} and writes it back`, () => {
      assert.deepEqual(parseAddress(text), address);
      assert.equal(formatAddress(address), text);
    });
  }

  const bad: [string, RegExp][] = [
    ["", /has no port/],
    ["localhost", /has no port/],
    [":443", /has no host/],
    ["host:", /port is ""/],
    ["host:65536", /from 0 to 65535/],
    ["host:007", /port is "007"/],
    ["host:+1", /port is "\+1"/],
    ["host: 1", /port is " 1"/],
    ["host:1e3", /port is "1e3"/],
    ["::1:443", /stands in brackets/],
    ["[::g]:443", /not an IPv6 address/],
    ["[127.0.0.1]:443", /not an IPv6 address/],
    ["256.1.1.1:443", /neither a host name/],
    ["1.2.3:443", /neither a host name/],
    ["-a:443", /neither a host name/],
    ["a b:443", /neither a host name/],
    ["a..b:443", /neither a host name/],
    ["http://host:443", /no other scheme is known/],
    ["unix:relative", /not absolute/],
    ["unix:", /not absolute/],
    ["unix:/a\0b", /contains a NUL/],
    [`unix:/${"a".repeat(107)}`, /longer than 107 bytes/],
    ["vsock:5000", /has no port/],
    ["vsock::5000", /CID is ""/],
    ["vsock:any:any", /port is "any"/],
    ["vsock:4294967295:1", /CID is "4294967295"/],
    ["vsock:3:4294967295", /port is "4294967295"/],
    ["vsock:-1:1", /CID is "-1"/],
    ["vsock:0x3:1", /CID is "0x3"/],
    ["vsock+uds:m.vsock:1", /not absolute/],
    ["vsock+uds:/m.vsock", /has no port/],
  ];
  for (const [text, why] of bad) {
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () => {
      assert.throws(() => parseAddress(text), { name: "TypeError", message: why });
    });
  }

  it("throws TypeError only, and reads back what it accepted, on any text", () => {
    const scheme = fc.constantFrom("", "unix:/", "vsock:", "vsock+uds:/", "[", "a:");
    fc.assert(
      fc.property(scheme, fc.string({ maxLength: 40 }), (prefix, rest) => {
        let address: Address;
        try {
          address = parseAddress(prefix + rest);
        } catch (error) {
          assert.ok(error instanceof TypeError);
          return;
        }
        assert.deepEqual(parseAddress(formatAddress(address)), address);
      }),
      { numRuns },
    );
  });
});
