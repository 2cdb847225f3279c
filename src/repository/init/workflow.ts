import { BirdboneError } from '../../errors.js';

/** Where GitHub looks for workflows. */
export const WORKFLOW_FILE = '.github/workflows/weights.yml';

/** Commits behind the tags, so that nobody can exchange what runs in a user's CI. */
const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0';
const SETUP_NODE = 'actions/setup-node@a0853c24544627f65ddf259abe73b1d18a591444 # v5.0.0';

/** What may hold pickles, and the formats that are read as strictly as by every command. */
const SCANNED = ['*.pt', '*.pth', '*.th', '*.ckpt', '*.bin', '*.pkl', '*.safetensors', '*.gguf'];

/** What npm installs packages from, without what a shell or YAML would take for something else. */
const PACKAGE_SPEC = /^[A-Za-z0-9@][A-Za-z0-9@/:._+#~^-]{0,199}$/;

/**
 * A GitHub workflow that fetches the weights and checks them on every push and pull request: their hashes against
 * .weight_hashes.json, and what pickles among them would do. `spec` is what npm installs birdbone from: a name with an exact
 * version, or a git address with a commit. Throws `usage` for anything else.
 */
export function workflow(spec: string): string {
  if (!PACKAGE_SPEC.test(spec)) {
    throw new BirdboneError('usage', `"${spec}" is not something that npm can install.`, {
      suggestions: ['birdbone@0.1.0, or github:owner/birdbone#<commit>'],
    });
  }
  return `# Written by birdbone init; yours to change.
name: weights

on:
  push:
  pull_request:

permissions:
  contents: read

jobs:
  weights:
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    steps:
      - uses: ${CHECKOUT}
        with:
          lfs: true
          persist-credentials: false
      - uses: ${SETUP_NODE}
        with:
          node-version: 22
      - name: install birdbone
        run: npm install --global "${spec}"
      - name: weights are what .weight_hashes.json says
        run: birdbone hash --check
      - name: no file would run code when it is loaded
        run: git ls-files -z -- ${SCANNED.map((pattern) => `'${pattern}'`).join(' ')} | xargs -0 -r birdbone scan
`;
}
