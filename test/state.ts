// Reads Terraform's state, the only place that tests take scripts from.
import { readFileSync } from "node:fs";
import { join } from "node:path";

type Attributes = Readonly<Record<string, unknown>>;

export interface State {
  readonly outputs: Readonly<Record<string, { readonly value: unknown }>>;
  readonly resources: readonly {
    readonly type: string;
    readonly name: string;
    readonly instances: readonly { readonly attributes: Attributes }[];
  }[];
}

/** The local backend keeps the state here, also while an apply or a destroy is under way. */
export function readState(dir: string): State {
  return JSON.parse(readFileSync(join(dir, "terraform.tfstate"), "utf8")) as State;
}

/** Attributes of a resource; undefined when it is not in the state. */
export function findAttributes(state: State, type: string, name: string): Attributes | undefined {
  return state.resources.find((resource) => resource.type === type && resource.name === name)?.instances[0]
    ?.attributes;
}

/** The text of a script as Terraform rendered it. Throws when it is not in the state. */
export function scriptOf(state: State, name: "agentapi" | "agentapi_shutdown"): string {
  const script = findAttributes(state, "coder_script", name)?.["script"];
  if (typeof script !== "string") throw new Error(`coder_script.${name} is not in the state`);
  return script;
}
