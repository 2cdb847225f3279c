import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { birdbone, builtCommands, type Ending, type ManifestCommand } from '../fixtures/command-line.js';
import { contentsOf, makeWorkplace } from '../fixtures/workplace.js';

/** Flags that make a run on the tiny model short; each is used where a command has it. */
const SHORT: Readonly<Record<string, string>> = {
  waves: '2',
  'calibration-windows': '4',
  context: '32',
  limit: '4',
  'max-drop': '100%',
  monitor: 'basic',
};

const commands = builtCommands();
const webgpuMissing = await missingDevice('webgpu');

/** A workplace in which the first example of `prune` has been carried out, so that there is an out/half to look at; a git repository. */
let prepared: string;
/** How each command ends that is given a flag that none has. */
let refusals: ReadonlyMap<string, Ending>;
const copies: string[] = [];

beforeAll(async () => {
  prepared = makeWorkplace();
  copies.push(prepared);
  execFileSync('git', ['init', '--quiet', '--template=', prepared]);
  const prune = commands.find(({ id }) => id === 'prune');
  if (prune === undefined) throw new Error('there is no command prune');
  const ending = await birdbone(exampleOf(prune, prepared), { cwd: prepared });
  expect(ending.code, ending.stderr).toBe(0);
  refusals = new Map(refusalsOf(commands.map(({ id }) => id)));
}, 120_000);

afterAll(() => {
  for (const folder of copies) rmSync(folder, { recursive: true, force: true });
});

function workplace(): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'birdbone-contract-'));
  cpSync(prepared, copy, { recursive: true });
  copies.push(copy);
  return copy;
}

/** The arguments of a command's first example, made short, and free to replace what is there. */
function exampleOf(command: ManifestCommand, cwd: string): string[] {
  const example = command.examples?.[0]?.command ?? '';
  const args = example.replace('<%= config.bin %> ', '').split(' ');
  const has = (flag: string): boolean => command.flags[flag] !== undefined && !args.includes(`--${flag}`);
  const allowed = (flag: string): boolean => flag !== 'calibration-windows' || args.includes('--calibration');
  for (const [flag, value] of Object.entries(SHORT)) if (has(flag) && allowed(flag)) args.push(`--${flag}`, value);
  if (has('restart') && existsSync(path.join(cwd, 'out', 'half'))) args.push('--restart');
  return args;
}

function refusalsOf(ids: readonly string[]): [id: string, ending: Ending][] {
  const lists = ids.map((id) => [...id.split(':'), '--no-such-flag', '--json']);
  const endings = JSON.parse(
    execFileSync(process.execPath, [path.resolve('test/fixtures/main-in-turn.mjs'), JSON.stringify(lists)], {
      encoding: 'utf8',
    }),
  ) as Ending[];
  return endings.map((ending, index) => [ids[index]!, ending]);
}

async function missingDevice(name: string): Promise<string | undefined> {
  const { code, stdout } = await birdbone(['doctor', '--json']);
  if (code !== 0) return `doctor ended with ${code}`;
  const { devices } = JSON.parse(stdout) as { devices: { name: string; available: boolean; reason?: string }[] };
  const device = devices.find((found) => found.name === name);
  return device?.available ? undefined : (device?.reason ?? 'unknown to doctor');
}

interface Evidence {
  readonly out: string;
  readonly manifest: string;
  readonly diff: { readonly json: string; readonly markdown: string };
}

function oneObject({ stdout, stderr }: Ending): Record<string, unknown> {
  const value: unknown = JSON.parse(stdout);
  expect(value, stderr).toBeTypeOf('object');
  expect(Array.isArray(value) || value === null).toBe(false);
  return value as Record<string, unknown>;
}

describe.each(commands)('birdbone $id', (command) => {
  const { id, flags, examples = [], writes = 'nothing' } = command;
  const words = id.split(':');

  it('has a summary, and two examples that use flags it has', () => {
    expect(command.summary).toMatch(/^[a-z].*[^.]$/);
    expect(examples.length).toBeGreaterThanOrEqual(2);
    for (const { description, command: text } of examples) {
      expect(description).toMatch(/^[A-Z0-9].*[^.]$/);
      const own = text.split(/&&|\|/).filter((part) => part.includes(`<%= config.bin %> ${words.join(' ')}`));
      expect(own.length, text).toBeGreaterThan(0);
      for (const [, flag = ''] of own.join(' ').matchAll(/ --([\w-]+)/g)) expect(Object.keys(flags)).toContain(flag);
    }
  });

  it('has the flags that every command has, each with its environment variable', () => {
    expect(Object.keys(flags)).toEqual(
      expect.arrayContaining(['json', 'device', 'seed', 'quiet', 'threads', 'events']),
    );
    for (const { name, env, summary } of Object.values(flags)) {
      if (name === 'json') continue;
      expect(env).toBe(`BIRDBONE_${name.toUpperCase().replaceAll('-', '_')}`);
      expect(summary).toMatch(/\.$/);
    }
  });

  if (writes !== 'model') {
    it(`does what its first example says${writes === 'nothing' ? ', and leaves the disk as it was' : ''}`, async () => {
      const cwd = workplace();
      const before = contentsOf(cwd);
      const { code, stdout, stderr } = await birdbone(exampleOf(command, cwd), { cwd });
      expect(code, stderr).toBe(0);
      expect(stdout.trim()).not.toBe('');
      if (writes === 'nothing') expect(contentsOf(cwd)).toEqual(before);
    });
  }

  // That words fail as objects do, and how a process ends, is the same for all commands: test/bin.test.ts.
  it('fails with one JSON object with --json', () => {
    const json = refusals.get(id)!;
    expect(json.code).toBe(2);
    expect(oneObject(json)).toMatchObject({ error: { code: 'usage', exitCode: 2 } });
  });

  // What runs text through a model has run on the CPU above, as `auto` says; what JSON it prints does not depend on where it ran.
  const device = flags['context'] !== undefined && webgpuMissing === undefined ? 'webgpu' : 'cpu';
  const instead = flags['context'] !== undefined && device === 'cpu' ? `, as there is no GPU: ${webgpuMissing}` : '';
  it(`runs on ${device} and prints one JSON object with --json${instead}`, async () => {
    const cwd = workplace();
    const args = exampleOf(command, cwd);
    // A step of training takes a GPU in software half a second; in as many as the example has, it has healed above.
    const steps = args.indexOf('--steps') + 1;
    if (device === 'webgpu' && steps > 0) args[steps] = '2';
    args.push('--device', device, '--json', '--quiet');
    const ending = await birdbone(args, { cwd });
    expect(ending.code, ending.stderr).toBe(0);
    oneObject(ending);
  });

  if (writes !== 'nothing') {
    it('writes nothing with --dry-run', async () => {
      const cwd = workplace();
      const before = contentsOf(cwd);
      const ending = await birdbone([...exampleOf(command, cwd), '--dry-run', '--json'], { cwd });
      expect(ending.code, ending.stderr).toBe(0);
      oneObject(ending);
      expect(contentsOf(cwd)).toEqual(before);
    });
  }

  if (writes === 'model') {
    it('does what its first example says, and leaves a manifest that verifies, with its seed, and a diff; the same bytes wherever it runs', async () => {
      const [first, second] = [workplace(), workplace()];
      const text = await birdbone([...exampleOf(command, first), '--seed', '7'], { cwd: first });
      expect(text.code, text.stderr).toBe(0);
      expect(text.stdout.trim()).not.toBe('');

      const ending = await birdbone([...exampleOf(command, second), '--seed', '7', '--json'], { cwd: second });
      expect(ending.code, ending.stderr).toBe(0);
      const { out, manifest, diff } = oneObject(ending) as unknown as Evidence;
      expect(path.dirname(manifest)).toBe(out);
      // A command that takes no output of its own goes by the seed of the run it continues.
      const seed = flags['out'] === undefined ? 0 : 7;
      expect(JSON.parse(readFileSync(manifest, 'utf8'))).toMatchObject({ seed });
      // What heals begins with what was pruned.
      const before = id === 'heal' ? 'half' : 'fledgling';
      expect(JSON.parse(readFileSync(diff.json, 'utf8'))).toMatchObject({ before: { name: before } });
      expect(readFileSync(diff.markdown, 'utf8')).toContain(before);
      const verified = await birdbone(['verify', out], { cwd: second });
      expect(verified.code, verified.stdout).toBe(0);

      // With --json and without: the manifest that was verified, the diff and the weights.
      const made = (cwd: string) =>
        [path.relative(second, out), 'diffs'].map((name) => contentsOf(path.join(cwd, name)));
      expect(made(first)).toEqual(made(second));
    });
  }
});
