import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { birdbone } from '../fixtures/command-line.js';
import { call, pickle, text } from '../fixtures/pickle-assembler.js';
import { temporaryFolder } from '../fixtures/safetensors-file.js';
import { layOutZip, zipBytes } from '../fixtures/zip-file.js';

function evilFile(): string {
  const file = path.join(temporaryFolder(), 'model.bin');
  writeFileSync(file, pickle(call('os', 'system', text('touch pwned'))));
  return file;
}

it('ends with 3 and says why, and executes nothing', async () => {
  const file = evilFile();
  const cwd = path.dirname(file);
  const { code, stdout, stderr } = await birdbone(['scan', file], { cwd });
  expect(code, stderr).toBe(3);
  expect(stdout).toContain('error    the pickle at byte 0 asks for "os.system", which runs programs');
  expect(stdout).toContain('1 file, not clean: 2 errors, 0 warnings, 0 notes');
  const names = await birdbone(['scan', file, '--names', '--quiet'], { cwd });
  expect(names.stdout).toContain('os.system  not on the list');
});

it('gives the findings as JSON, and as SARIF to a file or to standard output', async () => {
  const file = evilFile();
  const sarif = path.join(path.dirname(file), 'scan.sarif');
  const json = await birdbone(['scan', file, '--json', '--sarif', sarif]);
  expect(json.code).toBe(3);
  expect(JSON.parse(json.stdout)).toMatchObject({ clean: false, counts: { error: 2 } });
  const log = JSON.parse(readFileSync(sarif, 'utf8')) as { runs: { results: unknown[] }[] };
  expect(log.runs[0]!.results).toHaveLength(2);
  const printed = await birdbone(['scan', file, '--sarif', '-', '--quiet']);
  expect(JSON.parse(printed.stdout)).toEqual(log);
  expect(printed.code).toBe(3);
});

it("gives SARIF that parsers read, whatever an archive's members are called", async () => {
  const file = path.join(temporaryFolder(), 'model.pt');
  const name = 'a\u202e\u001b[2J/data.pkl';
  writeFileSync(file, zipBytes(layOutZip([{ name, data: pickle(call('os', 'system', text('touch pwned'))) }])));
  const { stdout } = await birdbone(['scan', file, '--sarif', '-', '--quiet']);
  for (const character of ['\u001b', '\u202e']) expect(stdout).not.toContain(character);
  const log = JSON.parse(stdout) as { runs: { results: { locations: object[] }[] }[] };
  expect(log.runs[0]!.results.flatMap(({ locations }) => locations)).toContainEqual(
    expect.objectContaining({ logicalLocations: [{ fullyQualifiedName: name, kind: 'member' }] }),
  );
});

it('refuses two things on standard output', async () => {
  const { code, stdout } = await birdbone(['scan', evilFile(), '--json', '--sarif', '-']);
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'usage' } });
});

it('ends with 3 for a path that is not there', async () => {
  const { code, stderr } = await birdbone(['scan', '/nowhere/model.pt']);
  expect(code).toBe(3);
  expect(stderr).toContain('there is no such file or folder');
});
