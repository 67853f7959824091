import { describe, expect, test } from "bun:test";
import { Authority, NO_CERTIFICATES } from "./certificates.ts";
import { startFakeCoder } from "./fake-coder.ts";
import { FakeProxy } from "./fake-proxy.ts";

describe("the fake proxy", () => {
  test("passes a plain request on, without the headers that are for the proxy", async () => {
    await using coder = await startFakeCoder();
    await using proxy = await FakeProxy.start({
      hosts: { "coder.test": coder.port },
      credentials: "me:pass",
    });
    const answer = await fetch("http://coder.test/somewhere?x=1", {
      method: "POST",
      body: "hello",
      proxy: proxy.url("me:pass"),
    });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({ message: "Route not found." });
    expect(coder.requests.map(({ method, path }) => [method, path])).toEqual([["POST", "/somewhere"]]);
    expect(Buffer.from(coder.requests[0]!.body).toString()).toBe("hello");
    expect(Object.keys(coder.requests[0]!.headers)).not.toContain("proxy-authorization");
    expect(proxy.requests[0]).toMatchObject({
      method: "POST",
      target: "http://coder.test/somewhere?x=1",
      credentials: "me:pass",
    });
  });

  test.skipIf(NO_CERTIFICATES !== "")(`tunnels TLS by CONNECT ${NO_CERTIFICATES}`, async () => {
    using authority = new Authority();
    await using coder = await startFakeCoder({ tls: authority.issue({ names: ["DNS:coder.test"] }) });
    await using proxy = await FakeProxy.start({ hosts: { "coder.test": coder.port } });
    const answer = await fetch("https://coder.test/", {
      proxy: proxy.url(),
      tls: { ca: Bun.file(authority.file) },
    });
    expect(answer.status).toBe(404);
    expect(proxy.requests[0]).toMatchObject({ method: "CONNECT", target: "coder.test:443", credentials: "" });
  });

  test("asks for a password where it is wrong or missing", async () => {
    await using proxy = await FakeProxy.start({ credentials: "me:pass" });
    for (const credentials of ["", "me:other"]) {
      const answer = await fetch("http://coder.test/", { proxy: proxy.url(credentials) });
      expect(answer.status).toBe(407);
      expect(answer.headers.get("proxy-authenticate")).toStartWith("Basic");
    }
  });

  test("refuses with the status it is told, and a host that is not there with 502", async () => {
    await using refusing = await FakeProxy.start({ refusal: 403 });
    expect((await fetch("http://coder.test/", { proxy: refusing.url() })).status).toBe(403);
    await using lost = await FakeProxy.start({ hosts: { "coder.test": 1 } });
    expect((await fetch("http://coder.test/", { proxy: lost.url() })).status).toBe(502);
  });
});
