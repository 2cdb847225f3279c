import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const RUNTIME = fileURLToPath(new URL('../../src/tensor/backends/onnx/runtime.ts', import.meta.url));

/** Opens the library in a process of its own, since it reads its environment once; returns what it left in the user's home. */
function leftInHome(): string[] {
  const home = mkdtempSync(path.join(tmpdir(), 'birdbone-home-'));
  try {
    const script = `import(${JSON.stringify(RUNTIME)}).then((m) => { m.openOnnxRuntime(1).close(); })`;
    const { ORT_DISABLE_TELEMETRY: _, CI: __, XDG_CACHE_HOME: ___, ...inherited } = process.env;
    execFileSync(process.execPath, ['--import', 'tsx', '--eval', script], {
      env: { ...inherited, TSX_DISABLE_CACHE: '1', HOME: home },
      timeout: 60_000,
    });
    return readdirSync(home, { recursive: true, encoding: 'utf8' }).sort();
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

// With ORT_DISABLE_TELEMETRY=0 ONNX Runtime 1.30 leaves deviceid and a database of events; not tried here, for it would send them.
test('computing leaves no identifier of the machine and sends nothing: telemetry of ONNX Runtime is off', () => {
  expect(leftInHome()).toEqual([]);
});
