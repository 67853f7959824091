// Shows the main job: a real AgentAPI conversation, saved by a real `terraform destroy`. Run it by `npm run demo`.
import { dirname, join } from "node:path";
import dedent from "ts-dedent";
import { startFakeCoder } from "../test/fake-coder.ts";
import { freePort } from "../test/free-port.ts";
import { Workspace } from "../test/workspace.ts";
import { readTools } from "../tools/inventory.ts";
import { Conversation } from "./conversation.ts";

const tools = readTools();
const say = (line = ""): void => console.log(line);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const port = await freePort();
await using coder = await startFakeCoder({});
await using workspace = new Workspace({
  taskId: coder.taskId,
  coder,
  env: { PATH: `${dirname(tools.agentapi)}:${process.env["PATH"]}` },
  variables: {
    agentapi_port: port,
    install_agentapi: false,
    start_script: dedent`
      #!/bin/sh
      exec agentapi server --type=custom --port "$2" -- sh '${join(import.meta.dir, "agent.sh")}'
    `,
  },
});

say(
  `1. ${tools.terraforms[0].name} apply starts a task's workspace with AgentAPI ${tools.agentapiVersion} ...`,
);
const start = await workspace.start();
say(`   AgentAPI answers on port ${port} after ${seconds(start.ms)}.`);

say("2. A short conversation with a scripted terminal agent ...");
const conversation = new Conversation(port);
for (const words of ["Please plan the work", "Now run the tests"]) {
  say(`   You:   ${words}`);
  say(`   Agent: ${await conversation.ask(words)}`);
}

say("3. terraform destroy stops the workspace, which runs the shutdown script:");
const stop = await workspace.stop();
for (const line of stop.stdout.trim().split("\n")) say(`   | ${line}`);

const snapshot = coder.snapshots.get(coder.taskId);
if (snapshot === undefined) throw new Error(`Coder got no snapshot\n${stop.stderr}`);
say(
  `4. What Coder keeps for the paused task: ${snapshot.bytes} bytes of at most 65536, ${seconds(stop.ms)} for the stop.`,
);
for (const { role, content, time } of coder.readSnapshot(coder.taskId)) {
  say();
  say(`   ${role}, ${time}`);
  for (const line of content.trimEnd().split("\n")) say(`     ${line.trimEnd()}`);
}
