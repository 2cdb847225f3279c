import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { withDirectImports } from '../scripts/direct-imports.mjs';

const root = mkdtempSync(path.join(tmpdir(), 'birdbone-imports-'));
afterAll(() => rmSync(root, { recursive: true }));

const FILES = {
  'shapes/index.ts': `export { area, type Shape } from './area.js';
export type { Size } from './size.js';
export {
  round as circle,
  square,
} from './round.js';
export { volume } from './solids/index.js';
export const SIDES = 4;
`,
  'shapes/solids/index.ts': "export { volume } from './volume.js';\n",
};
for (const [name, text] of Object.entries(FILES)) {
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  writeFileSync(path.join(root, name), text);
}

const direct = (code: string, file = 'main.ts') => withDirectImports(code, path.join(root, file));

describe('withDirectImports', () => {
  it.each([
    ["import { area } from './shapes/index.js';", "import { area } from './shapes/area.js';"],
    [
      "import { area, circle, square } from './shapes/index.js';",
      "import { area } from './shapes/area.js'; import { round as circle, square } from './shapes/round.js';",
    ],
    ["import { circle as c } from './shapes/index.js';", "import { round as c } from './shapes/round.js';"],
    ["import { area, type Shape } from './shapes/index.js';", "import { area } from './shapes/area.js';"],
    ["import { volume } from './shapes/index.js';", "import { volume } from './shapes/solids/volume.js';"],
    ["export { circle } from './shapes/index.js';", "export { round as circle } from './shapes/round.js';"],
    [
      "  const { area, circle: c } = await import('./shapes/index.js');",
      "  const { area } = await import('./shapes/area.js'); const { round: c } = await import('./shapes/round.js');",
    ],
  ])('takes the names of %j from the files that declare them', (statement, expected) => {
    expect(direct(statement)).toBe(expected);
  });

  it.each([
    ['a name that the index.ts itself declares', "import { SIDES } from './shapes/index.js';"],
    ['another file than an index.ts', "import { area } from './shapes/area.js';"],
    ['a package', "import { area } from 'shapes';"],
    ['a folder that is not there', "import { area } from './forms/index.js';"],
    ['all names', "import * as shapes from './shapes/index.js';"],
    ['types alone', "import type { Size } from './shapes/index.js';"],
  ])('leaves %s as it is', (_, statement) => {
    expect(direct(statement)).toBe(statement);
  });

  it('leads from where the module is', () => {
    expect(direct("import { area } from '../shapes/index.js';", 'other/main.ts')).toBe(
      "import { area } from '../shapes/area.js';",
    );
    expect(direct("import { area } from '../index.js';", 'shapes/solids/volume.ts')).toBe(
      "import { area } from '../area.js';",
    );
  });

  it('moves no line', () => {
    const code = "import {\n  area,\n  type Shape,\n  square,\n} from './shapes/index.js';\n\nthrow new Error();\n";
    const lines = direct(code).split('\n');
    expect(lines).toHaveLength(code.split('\n').length);
    expect(lines.indexOf('throw new Error();')).toBe(6);
  });
});
