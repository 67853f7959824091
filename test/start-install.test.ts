import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { Fault } from "./fake-exchange.ts";
import { FakeServer } from "./fake-http.ts";
import { fakeAgentApi, minimalPath, modeOf, StartWorkspace } from "./fake-start-workspace.ts";
import { findProgram } from "./runtimes.ts";

setDefaultTimeout(60_000);

const ASSET = `agentapi-${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
const NOT_FOUND: Fault = { kind: "status", status: 404 };
const BUSY: Fault = { kind: "status", status: 503 };

let ws: StartWorkspace;
let forAllUsers: string;

function releases(faults: readonly Fault[] = [], body = fakeAgentApi("0.12.0")): Promise<FakeServer> {
  return FakeServer.start({ faults }, () => ({ status: 200, body }));
}

const install = (server: FakeServer, env: Record<string, string> = {}) =>
  ws.startAgain({ env: { AGENTAPI_RELEASES_URL: `http://127.0.0.1:${server.port}`, ...env } });

/** What the start script gets when it calls agentapi. */
function startedVersion(): string {
  return spawnSync("sh", ["-c", "agentapi --version"], { env: ws.agentApiEnv("PATH") })
    .stdout.toString()
    .trim();
}

async function prepare(version: string): Promise<void> {
  ws = await StartWorkspace.create({
    variables: { install_agentapi: true, agentapi_version: version },
    // Nothing answers on port 9; what is installed must do for the first start.
    env: { AGENTAPI_RELEASES_URL: "http://127.0.0.1:9", AGENTAPI_DOWNLOAD_WAITS: "0 0 0" },
  });
  forAllUsers = ws.env["AGENTAPI_INSTALL_DIR"]!;
  await ws.start();
  await ws.end();
}

beforeEach(() => {
  rmSync(join(ws.bin, "agentapi"), { force: true });
  rmSync(ws.modulePath("bin"), { recursive: true, force: true });
  rmSync(forAllUsers, { recursive: true, force: true });
  mkdirSync(forAllUsers);
});
afterEach(() => ws.end());
afterAll(() => ws[Symbol.asyncDispose]());

describe("the AgentAPI of version v0.12.0", () => {
  beforeAll(() => prepare("v0.12.0"));

  test("is downloaded for this machine, installed for all users, and not downloaded again", async () => {
    await using server = await releases();
    const runs = [await install(server)];
    await ws.end();
    runs.push(await install(server));
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(server.requests.map(({ path }) => path)).toEqual([`/download/v0.12.0/${ASSET}`]);
    expect(modeOf(join(forAllUsers, "agentapi"))).toBe("755");
    expect(runs[1]!.stdout).toContain("AgentAPI 0.12.0 is installed already");
    expect(existsSync(ws.modulePath("agentapi.download"))).toBe(false);
  });

  test.each([
    { os: "Linux", arch: "x86_64", asset: "agentapi-linux-amd64" },
    { os: "Linux", arch: "aarch64", asset: "agentapi-linux-arm64" },
    { os: "Darwin", arch: "x86_64", asset: "agentapi-darwin-amd64" },
    { os: "Darwin", arch: "arm64", asset: "agentapi-darwin-arm64" },
  ])("is $asset on $os $arch; what is not there is not asked for again", async ({ os, arch, asset }) => {
    await using server = await releases([NOT_FOUND]);
    const { exitCode, stderr } = await install(server, { PATH: pathWithUname(os, arch) });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("AgentAPI v0.12.0 could not be downloaded");
    expect(server.requests.map(({ path }) => path)).toEqual([`/download/v0.12.0/${asset}`]);
  });

  test("cannot be had for another machine, and the error says which", async () => {
    await using server = await releases();
    const arch = await install(server, { PATH: pathWithUname("Linux", "riscv64") });
    const os = await install(server, { PATH: pathWithUname("FreeBSD", "amd64") });
    expect([arch.exitCode, os.exitCode]).toEqual([1, 1]);
    expect(arch.stderr).toContain("there is no AgentAPI for the architecture riscv64");
    expect(os.stderr).toContain("there is no AgentAPI for the operating system FreeBSD");
    expect(server.requests).toEqual([]);
  });

  test.each(["curl", "wget", "busybox"])(
    "is tried again when %s gets it broken, late or not at all",
    async (program) => {
      const path = minimalPath(...(program === "busybox" ? [] : [program]));
      if (program === "busybox") {
        if (Bun.which("busybox") === null) return;
        symlinkSync(findProgram("busybox"), join(path, "wget"));
      }
      await using server = await releases([BUSY, { kind: "die-mid-answer" }, { kind: "reset" }]);
      const { exitCode, stderr } = await install(server, { PATH: ws.bin + delimiter + path });
      expect(exitCode).toBe(0);
      expect(stderr.match(/the download failed/g)).toHaveLength(3);
      expect(server.requests).toHaveLength(4);
    },
  );

  test.each([
    { what: "a login page", body: "<!DOCTYPE html><title>Log in</title>" },
    { what: "nothing", body: "" },
    { what: "a program that does not run here", body: "#!/bin/sh\nexit 126\n" },
  ])("never replaces a working one by $what", async ({ body }) => {
    ws.addProgram("agentapi", fakeAgentApi("0.11.8"));
    await using server = await releases([], body);
    const { exitCode, stderr } = await install(server, { AGENTAPI_INSTALL_DIR: ws.bin });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("AgentAPI v0.12.0 could not be downloaded; the installed version is 0.11.8");
    expect(server.requests).toHaveLength(4);
    expect(await Bun.file(join(ws.bin, "agentapi")).text()).toBe(fakeAgentApi("0.11.8"));
  });

  test("is what the start script gets, even if another version comes first on PATH", async () => {
    ws.addProgram("agentapi", fakeAgentApi("0.11.8"));
    await using server = await releases();
    expect((await install(server)).exitCode).toBe(0);
    expect(startedVersion()).toBe("agentapi version 0.12.0");
  });

  test("goes into the module's folder where the one for all users cannot be written", async () => {
    await using server = await releases();
    const { exitCode } = await install(server, { AGENTAPI_INSTALL_DIR: "/proc/self" });
    expect(exitCode).toBe(0);
    expect(existsSync(ws.modulePath("bin/agentapi"))).toBe(true);
    expect(startedVersion()).toBe("agentapi version 0.12.0");
  });

  test("goes into the folder for all users by sudo where that needs no password", async () => {
    const target = join(ws.bin, "needs-sudo");
    ws.addProgram("sudo", `#!/bin/sh\n[ "$1" = -n ] || exit 1\nshift\nmkdir -p '${target}'\n"$@"\n`);
    await using server = await releases();
    const { exitCode } = await install(server, { AGENTAPI_INSTALL_DIR: target });
    rmSync(join(ws.bin, "sudo"));
    expect(exitCode).toBe(0);
    expect(modeOf(join(target, "agentapi"))).toBe("755");
  });

  test("needs curl or wget, and the error says so at once", async () => {
    await using server = await releases();
    const { exitCode, stderr } = await install(server, { PATH: ws.bin + delimiter + minimalPath("node") });
    expect(exitCode).toBe(1);
    expect(stderr.match(/there is neither curl nor wget/g)).toHaveLength(1);
  });

  test("comes from GitHub by way of HTTPS_PROXY", async () => {
    const heads: string[] = [];
    const proxy = Bun.listen({
      port: 0,
      hostname: "127.0.0.1",
      socket: {
        data(socket, bytes) {
          heads.push(bytes.toString());
          socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        },
      },
    });
    await ws.startAgain({
      env: {
        AGENTAPI_RELEASES_URL: "",
        HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`,
        NO_PROXY: "",
        AGENTAPI_DOWNLOAD_WAITS: "0",
        PATH: ws.bin + delimiter + minimalPath("curl"),
      },
    });
    proxy.stop(true);
    expect(heads[0]).toStartWith("CONNECT github.com:443 ");
  });
});

describe("the latest AgentAPI", () => {
  beforeAll(async () => {
    await ws[Symbol.asyncDispose]();
    await prepare("latest");
  });

  test("is downloaded at every start", async () => {
    await using server = await releases();
    await install(server);
    await ws.end();
    expect((await install(server)).exitCode).toBe(0);
    const path = `/latest/download/${ASSET}`;
    expect(server.requests.map((request) => request.path)).toEqual([path, path]);
  });

  test("may be missing for once when another one is installed", async () => {
    ws.addProgram("agentapi", fakeAgentApi("0.11.8"));
    await using server = await releases([BUSY, BUSY, BUSY, BUSY]);
    const { exitCode, stderr } = await install(server);
    expect(exitCode).toBe(0);
    expect(stderr).toContain("going on with the installed version 0.11.8");
  });

  test("is an error when it is missing and no other one is installed", async () => {
    await using server = await releases([BUSY, BUSY, BUSY, BUSY]);
    const { exitCode, stderr } = await install(server);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("AgentAPI latest could not be downloaded");
  });
});

/** PATH of a machine whose uname says so. */
function pathWithUname(os: string, arch: string): string {
  const name = `machine-${os}-${arch}`;
  ws.addProgram(`${name}/uname`, `#!/bin/sh\ncase $1 in -s) echo ${os} ;; -m) echo ${arch} ;; esac\n`);
  return [join(ws.bin, name), ws.env["PATH"]].join(delimiter);
}
