import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { AgentApiProcess, type AgentApiProcessOptions } from "./agentapi-process.ts";
import { longHistory, startFakeAgentApi } from "./fake-agentapi.ts";
import { type FakeCoder, type FakeCoderOptions, startFakeCoder } from "./fake-coder.ts";
import type { Fault } from "./fake-exchange.ts";
import { DEAD_PORT } from "./free-port.ts";
import { limitTo } from "./limit.ts";
import type { ScriptRun } from "./run-script.ts";
import { RUNTIMES } from "./runtimes.ts";
import { Home, MODULE_DIR_NAME, type Stop } from "./shutdown.ts";

setDefaultTimeout(60_000);

const TIME = "2026-01-30T09:31:04Z";
const MESSAGES = [
  { id: 0, content: "Hello", role: "user", time: TIME },
  { id: 1, content: "At your service", role: "agent", time: TIME },
];
const LARGE = [{ id: 0, content: "x".repeat(50_000), role: "user", time: TIME }];
const DEFAULT_BUDGET_MS = 8000;
const GRACE_MS = 1000;
const FAILED = "Log snapshot capture failed, continuing shutdown\n";

const inTurn = limitTo(6);

interface Plan extends Stop {
  readonly agentApi?: AgentApiProcessOptions;
  readonly persistence?: boolean;
}

/**
 * Stops a workspace with a live AgentAPI. Whatever else happens: the script succeeds in time, and AgentAPI got its
 * signals and left by itself.
 */
async function stop({ agentApi: options, persistence = false, ...plan }: Plan): Promise<ScriptRun> {
  return inTurn(async () => {
    using home = new Home();
    mkdirSync(home.path(MODULE_DIR_NAME));
    const stateFile = home.path("state.json");
    await using agentApi = await AgentApiProcess.start({
      pidFile: home.path(MODULE_DIR_NAME, "agentapi.pid"),
      messages: MESSAGES,
      ...(persistence && { stateFile }),
      ...options,
    });
    const args = {
      ...(persistence && { ARG_ENABLE_STATE_PERSISTENCE: "true", ARG_STATE_FILE_PATH: stateFile }),
      ...plan.args,
    };
    const run = await home.stop({ agentApiPort: agentApi.port, ...plan, args });
    expect(agentApi.signals()).toEqual(persistence ? ["SIGUSR1", "SIGTERM"] : ["SIGTERM"]);
    expect(await agentApi.ended()).toBeNull();
    expect(run.exitCode).toBe(0);
    expect(run.ms).toBeLessThan((Number(plan.args?.["ARG_SHUTDOWN_TIMEOUT"] ?? 8) * 1000 || 0) + GRACE_MS);
    expect(run.stdout).toContain("Shutdown complete");
    return run;
  });
}

/** Of the posts: another test's stop may look for its own dead AgentAPI on a port that this server got since. */
const statuses = (coder: FakeCoder) =>
  coder.requests.filter(({ method }) => method === "POST").map(({ status }) => status);
const contents = (coder: FakeCoder) => coder.readSnapshot().map(({ content }) => content);
const DELIVERED = MESSAGES.map(({ content }) => content);

const hang: Fault = { kind: "hang" };
const reset: Fault = { kind: "reset" };
const failing = (status: number, headers: Record<string, string> = {}): Fault => ({
  kind: "status",
  status,
  headers,
  body: "<html>upstream</html>",
});

const raw = (text: string) => ({ raw: text });

describe.each([...RUNTIMES])("a stop with $name", (runtime) => {
  describe("when AgentAPI", () => {
    test.concurrent.each<[string, NonNullable<AgentApiProcessOptions["http"]>, RegExp]>([
      ["hangs", { fault: hang }, /GET http:\/\/localhost:\d+\/messages: no answer within/],
      ["drips", { fault: { kind: "drip", bytesPerSecond: 20 } }, /\/messages: no answer within/],
      ["resets every connection", { fault: reset }, /\/messages: .*(reset|hang up|closed|ECONN)/i],
      ["always dies in the middle", { fault: { kind: "die-mid-answer" } }, /\/messages: .*(cut off|reset)/],
      ["answers garbage", raw('{"messages":[{"id":'), /AgentAPI: answered no JSON: "{\\"messages/],
      ["answers in HTML", raw("<!DOCTYPE html>"), /AgentAPI: answered no JSON: "<!DOCTYPE html>"/],
      ["answers nothing", raw(""), /AgentAPI: answered no JSON: ""/],
      ["has no list of messages", raw('{"messages":{}}'), /AgentAPI: its answer has no list of messages/],
      ["answers null", raw("null"), /AgentAPI: its answer has no list of messages/],
      ["answers 500", { fault: failing(500) }, /GET \/messages of AgentAPI: HTTP 500: <html>upstream/],
      ["answers 404", { fault: failing(404) }, /GET \/messages of AgentAPI: HTTP 404: <html>upstream/],
    ])("%s, nothing is posted, or what its state file holds", async (_, http, why) => {
      const args = { ARG_SHUTDOWN_TIMEOUT: "4" };
      await using coder = await startFakeCoder();
      const without = await stop({ coder, runtime, args, agentApi: { http } });
      expect(coder.requests).toEqual([]);
      expect(without.stderr).toMatch(why);
      expect(without.stdout).toContain(FAILED);

      const { stdout, stderr } = await stop({ coder, runtime, args, persistence: true, agentApi: { http } });
      expect(statuses(coder)).toEqual([204]);
      expect(contents(coder)).toEqual(DELIVERED);
      expect(stderr).toMatch(why);
      expect(stdout).toMatch(/AgentAPI does not answer, using its state file \S+state\.json\n/);
      expect(stdout).toContain("Retrieved 2 messages for log snapshot\n");
    });

    test.concurrent.each<[string, Fault]>([
      ["resets the connection", reset],
      ["resets the connection in the middle of its work", { kind: "reset-after-body" }],
      ["dies in the middle of the answer", { kind: "die-mid-answer" }],
      ["answers 500", failing(500)],
      ["answers 503", failing(503)],
    ])("%s and then is fine, its conversation is delivered", async (_, fault) => {
      await using coder = await startFakeCoder();
      const { stdout } = await stop({ coder, runtime, agentApi: { http: { faults: [fault] } } });
      expect(contents(coder)).toEqual(DELIVERED);
      expect(statuses(coder)).toEqual([204]);
      expect(stdout).toContain("Retrieved 2 messages for log snapshot\n");
    });

    test.concurrent("answers in 1 s, its conversation is delivered", async () => {
      await using coder = await startFakeCoder();
      const http = { fault: { kind: "slow-answer", ms: 1000 } } as const;
      await stop({ coder, runtime, agentApi: { http } });
      expect(contents(coder)).toEqual(DELIVERED);
    });

    test.concurrent(
      "answers garbage on IPv6 alone, the log says that and not that IPv4 refused",
      async () => {
        await using coder = await startFakeCoder();
        const agentApi = { http: raw("garbage"), flags: ["--hostname", "::1"] };
        const { stderr } = await stop({ coder, runtime, agentApi });
        expect(coder.requests).toEqual([]);
        expect(stderr).toContain('AgentAPI: answered no JSON: "garbage"');
      },
    );
  });

  describe("when AgentAPI is gone", () => {
    const saved = JSON.stringify({
      version: 1,
      messages: MESSAGES.map(({ content, ...others }) => ({ ...others, message: content })),
      initial_prompt: "",
      initial_prompt_sent: true,
    });

    async function stopWithout(coder: FakeCoder, prepare: (stateFile: string) => void): Promise<ScriptRun> {
      return inTurn(async () => {
        using home = new Home();
        const stateFile = home.path("state.json");
        prepare(stateFile);
        const args = { ARG_ENABLE_STATE_PERSISTENCE: "true", ARG_STATE_FILE_PATH: stateFile };
        const run = await home.stop({ coder, agentApiPort: DEAD_PORT, runtime, args });
        expect(run.exitCode).toBe(0);
        expect(run.ms).toBeLessThan(DEFAULT_BUDGET_MS);
        return run;
      });
    }

    test.concurrent("the conversation comes from its state file", async () => {
      await using coder = await startFakeCoder();
      const { stdout, stderr } = await stopWithout(coder, (file) => writeFileSync(file, saved));
      expect(coder.readSnapshot()).toEqual(MESSAGES as never);
      expect(statuses(coder)).toEqual([204]);
      expect(stderr).toContain("ECONNREFUSED");
      expect(stdout).toMatch(/AgentAPI does not answer, using its state file \S+state\.json\n/);
    });

    test.concurrent.each<[string, (file: string) => void, RegExp]>([
      ["is missing", () => {}, /State file \S+: does not exist/],
      ["is a directory", (file) => mkdirSync(file), /State file \S+: no regular file/],
      ["is empty", (file) => writeFileSync(file, ""), /State file \S+: .*no JSON: ""/],
      ["is cut off", (file) => writeFileSync(file, saved.slice(0, -20)), /State file \S+: .*no JSON: "{/],
      [
        "is binary",
        (file) => writeFileSync(file, "\0\x1b[2J".repeat(50)),
        /State file \S+: .*no JSON: "\S+"/,
      ],
      ["is of another shape", (file) => writeFileSync(file, '{"messages":3}'), /State file \S+: has no list/],
    ])("nothing is posted when that file %s, and the log says so", async (_, prepare, why) => {
      await using coder = await startFakeCoder();
      const { stdout, stderr } = await stopWithout(coder, prepare);
      expect(coder.requests).toEqual([]);
      expect(stderr).toMatch(why);
      expect(stdout).toContain(FAILED);
    });
  });

  test.concurrent.each([
    ["a web page", "<!DOCTYPE html><title>Not AgentAPI</title>"],
    ["JSON of another kind", '{"status":"ok","items":[1,2,3]}'],
    ["a bare list", '[{"id":0,"content":"secret","role":"user"}]'],
  ])("posts nothing of a stranger's server that answers %s, and leaves it running", async (_, text) => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using stranger = await AgentApiProcess.start({ http: raw(text) });
    const { stdout, exitCode } = await inTurn(() =>
      home.stop({ coder, agentApiPort: stranger.port, runtime }),
    );
    expect(coder.requests).toEqual([]);
    expect(stranger.signals()).toEqual([]);
    expect(stranger.isRunning()).toBe(true);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(FAILED);
  });

  describe("delivers although Coder", () => {
    const taskId = crypto.randomUUID();
    const path = `/api/v2/workspaceagents/me/tasks/${taskId}/log-snapshot?format=agentapi`;
    const redirect = (status: 301 | 302 | 307 | 308): Fault => ({ kind: "redirect", status, location: path });

    test.concurrent.each<[string, Fault[], (number | "none")[]]>([
      ["resets a connection", [reset], ["none", 204]],
      ["resets a connection after the request", [{ kind: "reset-after-body" }], ["none", 204]],
      ["hangs once", [hang], ["none", 204]],
      ["dies in the middle of its answer", [{ kind: "die-mid-answer" }], [204]],
      ["has too many requests", [failing(429), failing(429)], [429, 429, 204]],
      ["is restarted", [500, 502, 503, 504].map((s) => failing(s)), [500, 502, 503, 504, 204]],
      ["redirects by 301", [redirect(301)], [301, 204]],
      ["redirects by 302", [redirect(302)], [302, 204]],
      ["redirects by 307", [redirect(307)], [307, 204]],
      ["redirects by 308, three times", [redirect(308), redirect(308), redirect(308)], [308, 308, 308, 204]],
    ])("%s", async (_, faults, expected) => {
      await using coder = await startFakeCoder({ tasks: [taskId], faults });
      const { stdout } = await stop({ coder, runtime });
      expect(contents(coder)).toEqual(DELIVERED);
      // A 204 that is lost on its way may be asked for again.
      expect(statuses(coder).slice(0, expected.length)).toEqual(expected);
      expect(stdout).toContain("Log snapshot posted successfully\n");
    });

    test.concurrent("takes 3 s to answer", async () => {
      await using coder = await startFakeCoder({ fault: { kind: "slow-answer", ms: 3000 } });
      const { stdout } = await stop({ coder, runtime });
      expect(contents(coder)).toEqual(DELIVERED);
      expect(coder.requests.length).toBeLessThanOrEqual(3);
      expect(stdout).toContain("Log snapshot posted successfully\n");
    });

    test.concurrent("takes the snapshot in slowly", async () => {
      await using coder = await startFakeCoder({ fault: { kind: "drip", bytesPerSecond: 30_000 } });
      const { stdout } = await stop({ coder, runtime, agentApi: { messages: LARGE } });
      expect(coder.readSnapshot()[0]!.content).toHaveLength(50_000);
      expect(stdout).toContain("Log snapshot posted successfully\n");
    });

    test.concurrent("asks to wait, and not sooner", async () => {
      await using coder = await startFakeCoder({ faults: [failing(429, { "Retry-After": "1" })] });
      const { stdout } = await stop({ coder, runtime });
      expect(statuses(coder)).toEqual([429, 204]);
      // A clock in whole seconds, and timers that may be a little early.
      expect(coder.requests[1]!.atMs - coder.requests[0]!.atMs).toBeGreaterThan(950);
      expect(stdout).toMatch(/HTTP 429.*; trying again in \d\.\d s\n/);
    });

    test.concurrent("asks to wait until a moment, and not sooner", async () => {
      await inTurn(async () => {}); // The moment must not pass while this test waits for its turn.
      const until = new Date(Date.now() + 4000);
      await using coder = await startFakeCoder({
        faults: [failing(429, { "Retry-After": until.toUTCString() })],
      });
      await stop({ coder, runtime, args: { ARG_SHUTDOWN_TIMEOUT: "15" } });
      expect(statuses(coder)).toEqual([429, 204]);
      expect(coder.requests[1]!.atMs).toBeGreaterThan(2900);
    });
  });

  describe("reaches Coder at an address", () => {
    test.concurrent.each([
      ["without a slash", "", ""],
      ["with two slashes", "", "//"],
      ["with a path", "/coder", ""],
      ["with a path and a slash", "/coder", "/"],
    ])("%s", async (_, pathPrefix, end) => {
      await using coder = await startFakeCoder({ pathPrefix });
      const env = { CODER_AGENT_URL: `http://127.0.0.1:${coder.port}${pathPrefix}${end}` };
      await stop({ coder, runtime, env });
      expect(statuses(coder)).toEqual([204]);
      expect(contents(coder)).toEqual(DELIVERED);
    });
  });

  describe("gives up in time when Coder", () => {
    test.concurrent.each<[string, FakeCoderOptions, RegExp]>([
      ["hangs", { fault: hang }, /POST http:\S+\/log-snapshot: no answer within/],
      ["answers after the time allowed", { fault: { kind: "slow-answer", ms: 20_000 } }, /no answer within/],
      [
        "takes the snapshot in too slowly",
        { fault: { kind: "drip", bytesPerSecond: 10 } },
        /no answer within/,
      ],
      ["resets every connection", { fault: reset }, /log-snapshot: .*(reset|hang up|closed|ECONN|cut off)/i],
      ["is down", { fault: failing(503) }, /HTTP 503: <html>upstream<\/html>/],
      ["asks to wait for an hour", { fault: failing(429, { "Retry-After": "3600" }) }, /HTTP 429/],
      ["asks for nonsense", { fault: failing(429, { "Retry-After": "soon" }) }, /HTTP 429/],
    ])("%s", async (_, options, why) => {
      await using coder = await startFakeCoder(options);
      const { stdout, stderr } = await stop({ coder, runtime, args: { ARG_SHUTDOWN_TIMEOUT: "3" } });
      expect(coder.snapshots.size).toBe(0);
      expect(coder.requests.length).toBeWithin(1, 20);
      expect(stderr).toMatch(why);
      expect(stdout).toContain(FAILED);
    });

    test.concurrent.each([
      ["has a name that nobody knows", "http://coder.invalid/", /coder\.invalid/],
      ["does not listen", "http://127.0.0.1:PORT/", /(ECONNREFUSED|refused)/],
    ])("%s", async (_, address, why) => {
      await using coder = await startFakeCoder();
      const env = { CODER_AGENT_URL: address.replace("PORT", String(DEAD_PORT)) };
      const { stdout, stderr } = await stop({ coder, runtime, env, args: { ARG_SHUTDOWN_TIMEOUT: "3" } });
      expect(coder.requests).toEqual([]);
      expect(stderr).toMatch(why);
      expect(stdout).toContain(FAILED);
    });
  });

  describe("tries only once when Coder", () => {
    test.concurrent("refuses the token", async () => {
      await using coder = await startFakeCoder();
      const { stderr, stdout } = await stop({ coder, runtime, env: { CODER_AGENT_TOKEN: "another-token" } });
      expect(statuses(coder)).toEqual([401]);
      expect(stderr).toContain("HTTP 401: Coder refused the agent's token");
      expect(stderr).not.toContain("another-token");
      expect(stdout).toContain(FAILED);
    });

    test.concurrent("redirects to another host, which hears nothing", async () => {
      await using other = await startFakeCoder();
      const location = `http://localhost:${other.port}/`;
      await using coder = await startFakeCoder({ fault: { kind: "redirect", status: 307, location } });
      const { stderr } = await stop({ coder, runtime });
      expect(other.requests).toEqual([]);
      expect(statuses(coder)).toEqual([307]);
      expect(stderr).toContain(`HTTP 307: redirected to ${location}; the token is not sent there`);
    });

    test.concurrent.each([
      ["to no address", "http://", 1],
      ["to another protocol", "ftp://127.0.0.1/", 1],
      ["in a circle", "", 4],
    ])("redirects %s", async (_, location, requests) => {
      await using coder = await startFakeCoder({ fault: { kind: "redirect", status: 302, location } });
      const { stderr, stdout } = await stop({ coder, runtime });
      expect(statuses(coder)).toEqual(Array(requests).fill(302));
      expect(stderr).toContain("HTTP 302: redirected to");
      expect(stdout).toContain(FAILED);
    });

    test.concurrent("redirects without saying where to", async () => {
      await using coder = await startFakeCoder({ fault: failing(302) });
      const { stderr } = await stop({ coder, runtime });
      expect(statuses(coder)).toEqual([302]);
      expect(stderr).toContain("HTTP 302: redirected to nowhere");
    });
  });
});

// Alone, since it is about the time it takes.
test.each([...RUNTIMES])(
  "of a history of 100 MB, the end is delivered within the time allowed, with $name",
  async (runtime) => {
    using home = new Home();
    await using coder = await startFakeCoder();
    await using agentApi = await startFakeAgentApi({ messages: longHistory(20_000, 5_000) });
    const { ms, stdout, exitCode } = await home.stop({ coder, agentApiPort: agentApi.port, runtime });
    expect(coder.readSnapshot().map(({ id }) => id)).toEqual(
      Array.from({ length: 10 }, (_, index) => 19_990 + index),
    );
    expect(agentApi.requests).toHaveLength(1);
    expect(ms).toBeLessThan(DEFAULT_BUDGET_MS);
    expect(stdout).toContain("Retrieved 10 messages for log snapshot\n");
    expect(exitCode).toBe(0);
  },
);
