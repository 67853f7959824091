// Loaded before every test file: applying Terraform takes longer than the runner's default limit of 5 s.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(60_000);
