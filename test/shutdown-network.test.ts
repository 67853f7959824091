import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { dirname } from "node:path";
import { Authority, type IssueOptions, NO_CERTIFICATES } from "./certificates.ts";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import { type FakeCoder, startFakeCoder } from "./fake-coder.ts";
import { FakeProxy } from "./fake-proxy.ts";
import { DEAD_PORT } from "./free-port.ts";
import { limitTo } from "./limit.ts";
import { RUNTIMES } from "./runtimes.ts";
import type { ScriptRun } from "./run-script.ts";
import { Home, type Stop } from "./shutdown.ts";

setDefaultTimeout(60_000);

const MESSAGES = [{ id: 0, content: "Hello", role: "user", time: "2026-01-30T09:31:04Z" }];
/** Wide, for a machine that is busy, ms; a retried attempt would take longer than the budget of these stops. */
const AT_ONCE_MS = 4000;

/** One authority serves all tests; without openssl there is none, and the tests that need it are skipped. */
const authority = NO_CERTIFICATES === "" ? new Authority() : null;
afterAll(() => authority?.[Symbol.dispose]());

const withTls = NO_CERTIFICATES === "" ? test.concurrent : test.skip;
/** Shows in the name of a skipped test why it is. */
const unless = NO_CERTIFICATES && ` (skipped: ${NO_CERTIFICATES})`;

const tlsCoder = (options: IssueOptions = {}): Promise<FakeCoder> =>
  startFakeCoder({ tls: authority!.issue(options) });

const inTurn = limitTo(4);

/** Stops a workspace whose AgentAPI has one message. */
async function stop(options: Stop): Promise<ScriptRun & { log: string }> {
  using home = new Home();
  await using agentApi = await startFakeAgentApi({ messages: MESSAGES });
  const run = await inTurn(() => home.stop({ agentApiPort: agentApi.port, ...options }));
  expect(agentApi.requests.map(({ path }) => path)).toEqual(["/messages"]);
  expect(run.exitCode).toBe(0);
  return { ...run, log: home.log() };
}

const posts = (coder: FakeCoder) => coder.requests.map(({ method, status }) => [method, status]);
const DELIVERED = [["POST", 204]];

describe.each([...RUNTIMES])("a stop with $name", (runtime) => {
  describe("trusts Coder's certificate", () => {
    withTls.each([
      ["SSL_CERT_FILE", (ca: string) => ca],
      ["NODE_EXTRA_CA_CERTS", (ca: string) => ca],
      ["SSL_CERT_DIR", (ca: string) => `/no-such-folder:${dirname(ca)}`],
    ])(`that %s vouches for${unless}`, async (variable, value) => {
      await using coder = await tlsCoder();
      const { stderr } = await stop({ coder, runtime, env: { [variable]: value(authority!.file) } });
      expect(posts(coder)).toEqual(DELIVERED);
      expect(stderr).toBe("");
    });

    withTls(`for a name as well as for an address${unless}`, async () => {
      await using coder = await tlsCoder({ names: ["DNS:localhost"] });
      const env = { SSL_CERT_FILE: authority!.file, CODER_AGENT_URL: `https://localhost:${coder.port}/` };
      await stop({ coder, runtime, env });
      expect(posts(coder)).toEqual(DELIVERED);
    });
  });

  describe("sends nothing, tries once and says why when the certificate", () => {
    withTls.each<[string, IssueOptions, boolean, RegExp]>([
      [
        "comes from an unknown authority",
        {},
        false,
        /authority that this image does not trust; install that CA/,
      ],
      [
        "is self-signed",
        { selfSigned: true },
        true,
        /authority that this image does not trust; install that CA/,
      ],
      ["has expired", { expired: true }, true, /its certificate has expired/],
      ["is for another name", { names: ["DNS:other.test"] }, true, /its certificate is for another name/],
    ])(`%s${unless}`, async (_, options, trusted, why) => {
      await using coder = await tlsCoder(options);
      const env: Record<string, string> = trusted ? { SSL_CERT_FILE: authority!.file } : {};
      const { ms, stdout, stderr } = await stop({ coder, runtime, env });
      expect(coder.requests).toEqual([]);
      expect(ms).toBeLessThan(AT_ONCE_MS);
      expect(stderr).toMatch(why);
      expect(stdout).not.toContain("trying again");
      expect(stdout).toContain("Log snapshot capture failed, continuing shutdown\n");
    });
  });

  describe("follows a redirect on the same host", () => {
    const taskId = crypto.randomUUID();
    const path = `/api/v2/workspaceagents/me/tasks/${taskId}/log-snapshot?format=agentapi`;

    withTls(`from plain HTTP to TLS${unless}`, async () => {
      await using secure = await startFakeCoder({
        tls: authority!.issue(),
        tasks: [taskId],
        token: "of-both-servers",
      });
      const location = `https://127.0.0.1:${secure.port}${path}`;
      const fault = { kind: "redirect", status: 308, location } as const;
      await using coder = await startFakeCoder({ fault, tasks: [taskId], token: "of-both-servers" });
      await stop({ coder, runtime, env: { SSL_CERT_FILE: authority!.file } });
      expect(posts(coder)).toEqual([["POST", 308]]);
      expect(posts(secure)).toEqual(DELIVERED);
    });

    withTls(`but not from TLS to plain HTTP${unless}`, async () => {
      await using plain = await startFakeCoder({ tasks: [taskId], token: "of-both-servers" });
      const location = `http://127.0.0.1:${plain.port}${path}`;
      const fault = { kind: "redirect", status: 308, location } as const;
      await using coder = await startFakeCoder({
        fault,
        tls: authority!.issue(),
        tasks: [taskId],
        token: "of-both-servers",
      });
      const { stderr } = await stop({ coder, runtime, env: { SSL_CERT_FILE: authority!.file } });
      expect(plain.requests).toEqual([]);
      expect(posts(coder)).toEqual([["POST", 308]]);
      expect(stderr).toContain("; the token is not sent there, correct Coder's access URL instead");
    });
  });

  describe("reaches Coder by the proxy", () => {
    withTls.each([
      ["of HTTPS_PROXY", "HTTPS_PROXY", ""],
      ["of https_proxy", "https_proxy", ""],
      ["of HTTPS_PROXY, with user and password", "HTTPS_PROXY", "me:p@ss:word"],
    ])(`%s, in a tunnel${unless}`, async (_, variable, credentials) => {
      await using coder = await tlsCoder({ names: ["DNS:coder.test"] });
      await using proxy = await FakeProxy.start({ hosts: { "coder.test": coder.port }, credentials });
      const { stdout, stderr, log } = await stop({
        coder,
        runtime,
        env: {
          CODER_AGENT_URL: "https://coder.test/",
          SSL_CERT_FILE: authority!.file,
          [variable]: proxy.url(credentials.replace("p@ss:word", "p%40ss%3Aword")),
        },
      });
      expect(posts(coder)).toEqual(DELIVERED);
      expect(proxy.requests).toMatchObject([{ method: "CONNECT", target: "coder.test:443", credentials }]);
      expect(proxy.requests[0]!.head).not.toContain(coder.token);
      expect(stdout + stderr + log).not.toMatch(/p@ss|p%40ss/);
    });

    withTls.each([
      ["an IPv4 address", "10.1.2.3", "10.1.2.3"],
      ["an IPv6 address", "[fd00::1]", "fd00::1"],
    ])(`checks the certificate of a Coder at %s${unless}`, async (_, host, address) => {
      await using coder = await tlsCoder({ names: [`IP:${address}`] });
      await using other = await tlsCoder();
      for (const { port } of [
        { port: coder.port, delivered: true },
        { port: other.port, delivered: false },
      ]) {
        await using proxy = await FakeProxy.start({ hosts: { [host]: port } });
        await stop({
          coder,
          runtime,
          env: {
            CODER_AGENT_URL: `https://${host}:8443/`,
            SSL_CERT_FILE: authority!.file,
            HTTPS_PROXY: proxy.url(),
          },
        });
        expect(proxy.requests).toMatchObject([{ method: "CONNECT", target: `${host}:8443` }]);
        expect([coder, other].map(posts)).toEqual([DELIVERED, []]);
      }
    });

    test.concurrent.each([
      ["of HTTP_PROXY", "HTTP_PROXY", ""],
      ["of http_proxy", "http_proxy", ""],
      ["of HTTP_PROXY, with user and password", "HTTP_PROXY", "me:secret-word"],
    ])("%s, for a plain http address", async (_, variable, credentials) => {
      await using coder = await startFakeCoder();
      await using proxy = await FakeProxy.start({ hosts: { "coder.test": coder.port }, credentials });
      const { stdout, stderr, log } = await stop({
        coder,
        runtime,
        env: { CODER_AGENT_URL: "http://coder.test/", [variable]: proxy.url(credentials) },
      });
      expect(posts(coder)).toEqual(DELIVERED);
      expect(proxy.requests).toMatchObject([{ method: "POST", credentials }]);
      expect(proxy.requests[0]!.target).toStartWith("http://coder.test/api/v2/workspaceagents/me/tasks/");
      expect(stdout + stderr + log).not.toContain("secret-word");
    });
  });

  describe("says so when the proxy", () => {
    test.concurrent.each([
      ["refuses", { refusal: 403 }, /CONNECT coder\.test:443 by proxy 127\.0\.0\.1:\d+: HTTP 403/],
      ["wants a password", { credentials: "me:pass" }, /HTTP 407: the proxy asks for a user and password/],
      ["does not accept the password", { credentials: "me:pass" }, /HTTP 407: the proxy asks for a user/],
    ])("%s", async (name, options, why) => {
      await using proxy = await FakeProxy.start(options);
      const env = {
        CODER_AGENT_URL: "https://coder.test/",
        HTTPS_PROXY: proxy.url(name.includes("accept") ? "me:secret-word" : ""),
      };
      await using coder = await startFakeCoder();
      const { ms, stdout, stderr, log } = await stop({ coder, runtime, env });
      expect(coder.requests).toEqual([]);
      expect(proxy.requests).toHaveLength(1);
      expect(ms).toBeLessThan(AT_ONCE_MS);
      expect(stderr).toMatch(why);
      expect(stdout + stderr + log).not.toContain("secret-word");
    });

    test.concurrent("hangs, within the time allowed", async () => {
      await using proxy = await FakeProxy.start({ hangs: true });
      await using coder = await startFakeCoder();
      const { ms, stderr } = await stop({
        coder,
        runtime,
        args: { ARG_SHUTDOWN_TIMEOUT: "3" },
        env: { CODER_AGENT_URL: "https://coder.test/", HTTPS_PROXY: proxy.url("me:secret-word") },
      });
      expect(proxy.requests.length).toBeGreaterThan(0);
      expect(ms).toBeLessThan(4000);
      expect(stderr).toMatch(/POST https:\/\/coder\.test\/.*: no answer within/);
      expect(stderr).not.toContain("secret-word");
    });

    test.concurrent("is not there, and is of a kind that is not supported", async () => {
      await using coder = await startFakeCoder();
      const port = DEAD_PORT;
      const args = { ARG_SHUTDOWN_TIMEOUT: "3" };
      const to = (proxy: string) => ({ CODER_AGENT_URL: "https://coder.test/", HTTPS_PROXY: proxy });
      const gone = await stop({ coder, runtime, args, env: to(`http://me:secret-word@127.0.0.1:${port}`) });
      expect(gone.stderr).toMatch(/by proxy 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
      expect(gone.stderr).not.toContain("secret-word");
      const socks = await stop({ coder, runtime, args, env: to("socks5://me:secret-word@127.0.0.1:1080") });
      expect(socks.stderr).toContain("a socks5: proxy is not supported, use an http one");
      expect(socks.stderr).not.toContain("secret-word");
    });
  });

  test.concurrent("goes past a proxy whose address can't be read, as the agent does", async () => {
    await using coder = await startFakeCoder();
    const env = { CODER_AGENT_URL: `http://0.0.0.0:${coder.port}/`, HTTP_PROXY: "http://me:100%@:proxy:" };
    await stop({ coder, runtime, env });
    expect(posts(coder)).toEqual(DELIVERED);
  });

  // Linux takes 0.0.0.0 for this machine, and it is no loopback address, so that only NO_PROXY keeps it direct.
  test.concurrent.each(["NO_PROXY", "no_proxy"])("goes past the proxy where %s says so", async (variable) => {
    await using coder = await startFakeCoder();
    await using proxy = await FakeProxy.start();
    const env = { CODER_AGENT_URL: `http://0.0.0.0:${coder.port}/`, HTTP_PROXY: proxy.url() };
    await stop({ coder, runtime, env: { ...env, [variable]: "example.com, 0.0.0.0/8" } });
    expect(posts(coder)).toEqual(DELIVERED);
    expect(proxy.requests).toEqual([]);
    await stop({ coder, runtime, env: { ...env, [variable]: "example.com" } });
    expect(posts(coder)).toEqual([...DELIVERED, ...DELIVERED]);
    expect(proxy.requests).toHaveLength(1);
  });

  test.concurrent("never asks a proxy for AgentAPI, or for a Coder on this machine", async () => {
    await using coder = await startFakeCoder();
    await using proxy = await FakeProxy.start({ refusal: 403 });
    const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    const env = Object.fromEntries(names.map((name) => [name, proxy.url()]));
    await stop({ coder, runtime, env: { ...env, NODE_USE_ENV_PROXY: "1" } });
    expect(posts(coder)).toEqual(DELIVERED);
    expect(proxy.requests).toEqual([]);
  });
});
