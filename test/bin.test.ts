import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { birdbone, builtCommands, type CommandOptions, type Ending } from './fixtures/command-line.js';
import { makeWorkplace, writeManifest } from './fixtures/workplace.js';

const PRUNE = [
  ...['prune', 'models/fledgling', '--sparsity', '0.5', '--limit', '4', '--context', '32'],
  ...['--calibration', 'models/fledgling/calibration.txt', '--calibration-windows', '4'],
];
const OPEN_GATE = ['--max-drop', '100%', '--device', 'cpu'];

// What is tested is the build, so it must be of these sources.
builtCommands();

let cwd: string;
beforeAll(() => {
  cwd = makeWorkplace();
});
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const run = (args: readonly string[], options: CommandOptions = {}): Promise<Ending> =>
  birdbone(args, { cwd, ...options });

describe('help', () => {
  it('lists the commands, and what exit codes mean', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    expect(stdout.replace(/birdbone\/\S+ \S+ \S+/, '<version>')).toMatchInlineSnapshot(`
      "Make a transformer checkpoint smaller in measured steps, and never end with a worse model than agreed.

      VERSION
        <version>

      USAGE
        $ birdbone [COMMAND]

      DESCRIPTION

        Exit codes: 0 done, 1 a bug of ours, 2 usage, 3 checkpoint unreadable or
        unsupported, 4 gate failed and nothing published,
        5 verification mismatch, 6 no usable device or out of memory, 130 interrupted
        (resumable).

      TOPICS
        hooks  git hooks that check weights before a commit

      COMMANDS
        advise     say how a model is best stored for a machine: size, memory and
                   speed of each way, predicted
        bench      measure load time, tokens a second and memory of a model, before
                   and after compression
        calibrate  make a calibration set out of texts: each once, balanced, described
                   and hashed
        check      check that a run's state is all there, and undamaged
        cluster    find groups of neurons that behave alike, say how good they are,
                   and draw them
        control    pause, continue or stop a run that is under way, skip its wave, or
                   see what it is at
        convert    write a model in another format: safetensors, GGUF
        damage     show where compression hurt a model, and what to heal first
        diff       show what differs between two models or states, tensor by tensor
        doctor     say what this machine and this repository can do, and what to
                   repair
        evaluate   measure perplexity and next-token accuracy on a text
        export     write any state of a run as a model folder of its own
        factorize  store weights as two thin factors by (whitened) SVD, and keep it
                   only inside the gate
        gc         clean up a run's state: layers and files that nothing refers to any
                   more
        hash       hash the weights of models, and record or check the hashes in git
        heal       train a compressed model towards what it was, with its zeros kept
                   bit for bit
        imatrix    measure which inputs of a model count most, as llama.cpp's
                   importance matrix
        init       make a git repository safe for weights
        inspect    show what a checkpoint is: architecture, types, size, sparsity
        log        show an output's history: waves tried, kept and rolled back,
                   rollbacks, tags
        plan       show what a recipe would do, and what it would take
        plates     list what can be shed together: channels, heads, experts, blocks,
                   with cost, score, protection
        prune      remove weights or whole plates in waves, and roll back a wave that
                   costs too much
        quantize   store weights in fewer bits, in a layout that engines load, and
                   keep it only inside the gate
        rollback   go back to an earlier wave of a run, with all tensors or some
        run        carry out a recipe
        scan       say what files of weights contain and would do when they are loaded
        score      say how much the weights count: by matrix, row, column and head,
                   with histograms
        tag        name a state of a run's output, list the names, or remove one
        verify     check that a model is what its manifest says

      "
    `);
  });

  it('is what a bare command prints', async () => {
    expect((await run([])).stdout).toBe((await run(['--help'])).stdout);
  });

  it('shows a command: usage, flags with their environment variables, examples', async () => {
    const { code, stdout } = await run(['verify', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "check that a model is what its manifest says

      USAGE
        $ birdbone verify FOLDER [--json] [--device auto|webgpu|cuda|cpu]
          [--threads <n>] [--seed <n>] [-q] [--events <file>|-]

      ARGUMENTS
        FOLDER  model folder with a birdbone.json

      GLOBAL FLAGS
        -q, --quiet            [env: BIRDBONE_QUIET] No progress on standard error.
            --device=<option>  [default: auto, env: BIRDBONE_DEVICE] Device to compute
                               on; auto takes a GPU where there is one.
                               <options: auto|webgpu|cuda|cpu>
            --events=<file>|-  [env: BIRDBONE_EVENTS] Write progress as JSON lines to
                               a file, or to standard output for -.
            --json             Format output as json.
            --seed=<n>         [env: BIRDBONE_SEED] Seed of everything random, such as
                               confidence intervals; 0 by default.
            --threads=<n>      [env: BIRDBONE_THREADS] CPU threads to compute with;
                               all cores by default.

      DESCRIPTION
        check that a model is what its manifest says

        Reads every byte of the weights and names each tensor that differs from
        birdbone.json.
        Exit code 5 when anything differs.

      EXAMPLES
        Check a pruned model

          $ birdbone verify out/half

        The names of damaged tensors, for a script

          $ birdbone verify out/half --json | jq -r '.findings[].name'

      "
    `);
  });

  it('is also what the word help asks for', async () => {
    expect((await run(['help', 'verify'])).stdout).toBe((await run(['verify', '--help'])).stdout);
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(readFileSync(path.resolve('package.json'), 'utf8')) as { version: string };
    expect((await run(['--version'])).stdout).toContain(`birdbone/${version} `);
  });
});

describe('a mistyped word', () => {
  it.each([
    [['prnue'], 'birdbone prune --help'],
    [['prune', 'm', '--sparcity', '0.5'], '--sparsity'],
    [['plan', 'r', '--device', 'wbgpu'], '--device webgpu'],
    [['score', 'models/fledgling', '--out', 's.json', '--metric', 'wnada'], 'wanda'],
  ])('%j is answered with the nearest right one', async (args, suggestion) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(`Try: ${suggestion}`);
  });

  it('in a value is answered with what is allowed', async () => {
    const { stderr } = await run([...PRUNE, '--out', 'out/x', '--max-drop', '3']);
    expect(stderr).toMatchInlineSnapshot(`
      "Error: --max-drop "3" is not a ratio. It must be a fraction from 0 to 1 or a percentage.
        Try: Write 3% for a percentage.
      "
    `);
  });
});

/** A way into every row of README's table, with the code that errors of that row have. */
const ENDINGS: readonly {
  readonly exitCode: number;
  readonly code?: string;
  readonly when: string;
  readonly args: () => readonly string[];
  readonly options?: () => CommandOptions;
}[] = [
  { exitCode: 0, when: 'all is well', args: () => ['inspect', 'models/fledgling'] },
  {
    exitCode: 1,
    code: 'bug',
    when: 'something impossible happens',
    args: () => ['doctor'],
    options: () => ({ node: ['--import', path.resolve('test/fixtures/broken-os.mjs')] }),
  },
  { exitCode: 2, code: 'usage', when: 'an argument is missing', args: () => ['inspect'] },
  {
    exitCode: 2,
    code: 'usage',
    when: 'a recipe is wrong',
    args: () => ['plan', damaged('recipe.json', '{"recipe":1}')],
  },
  {
    exitCode: 3,
    code: 'unreadable',
    when: 'a checkpoint is not one',
    args: () => ['hash', damaged('m.safetensors', 'text')],
  },
  {
    exitCode: 4,
    code: 'gate-failed',
    when: 'no wave passes the gate',
    args: () => [...PRUNE, '--out', 'out/never', '--gate', 'perplexity<0.1x', '--restart'],
  },
  { exitCode: 5, when: 'a model is not what its manifest says', args: () => ['verify', 'models/fledgling'] },
  { exitCode: 6, code: 'device', when: 'the device is not there', args: () => ['doctor', '--device', 'cuda'] },
];

function damaged(name: string, text: string): string {
  writeFileSync(path.join(cwd, name), text);
  return name;
}

describe('exit codes', () => {
  beforeAll(async () => {
    await writeManifest(path.join(cwd, 'models/fledgling'));
    const weights = openSync(path.join(cwd, 'models/fledgling/model.safetensors'), 'r+');
    writeSync(weights, Buffer.from([1, 2, 3]), 0, 3, 20_000);
    closeSync(weights);
  });

  it.each(ENDINGS)('$exitCode when $when, with and without --json', async ({ exitCode, code, args, options }) => {
    const text = await run(args(), options?.());
    expect(text.code, text.stderr).toBe(exitCode);
    const json = await run([...args(), '--json', '--quiet'], options?.());
    expect(json.code, json.stderr).toBe(exitCode);
    const result = JSON.parse(json.stdout) as { error?: { code: string; exitCode: number; message: string } };
    if (code === undefined) return expect(result.error).toBeUndefined();
    expect(result.error).toMatchObject({ code, exitCode });
    expect(text.stderr).toContain(result.error?.message);
    expect(text.stdout).toBe('');
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('130 on %s, and --resume goes on', async (signal) => {
    const out = `out/${signal}`;
    const events = `${signal}.jsonl`;
    // Enough waves that the signal comes in the middle.
    const args = [...PRUNE, ...OPEN_GATE, '--out', out, '--events', events, '--waves', '20', '--schedule', 'linear'];
    const ending = await run(args, {
      during: (kill) => whenLineWith('"type":"wave"', path.join(cwd, events), () => kill(signal)),
    });
    expect(ending.code, ending.stderr).toBe(130);
    expect(ending.stderr).toContain('--resume');
    expect(existsSync(path.join(cwd, out))).toBe(false);
    const resumed = await run([...args, '--resume']);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(existsSync(path.join(cwd, out, 'birdbone.json'))).toBe(true);
  });

  it('asks for a report of a bug, and shows the stack only on demand', async () => {
    const node = ['--import', path.resolve('test/fixtures/broken-os.mjs')];
    const plain = await run(['doctor'], { node });
    expect(plain.stderr).toContain('This is a bug in birdbone: cpus of a broken machine');
    expect(plain.stderr).not.toContain('describeMachine');
    const debug = await run(['doctor'], { node, env: { DEBUG: 'birdbone*' } });
    expect(debug.stderr).toMatch(/at .*machine\.[jt]s/);
  });
});

describe('configuration', () => {
  it('takes a flag from its environment variable, and the flag itself first', async () => {
    const env = { BIRDBONE_MAX_DROP: '1%' };
    const byEnv = await run(['plan', 'configs/half.json', '--json'], { env });
    const byFlag = await run(['plan', 'configs/half.json', '--json', '--max-drop', '2%'], { env });
    const byRecipe = await run(['plan', 'configs/half.json', '--json']);
    const drops = [byEnv, byFlag, byRecipe].map(({ stdout }) => JSON.parse(stdout).recipe.maxDrop);
    expect(drops).toEqual([0.01, 0.02, 1]);
  });

  it('streams events, on standard output alone when asked to', async () => {
    const { code, stdout } = await run([
      ...PRUNE,
      ...OPEN_GATE,
      '--out',
      'out/events',
      '--waves',
      '2',
      '--events',
      '-',
    ]);
    expect(code).toBe(0);
    const types = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types.filter((type) => type !== 'progress' && type !== 'notice')).toEqual([
      'baseline',
      'wave',
      'wave',
      'published',
    ]);
  });

  it('refuses two things on one standard output', async () => {
    const { code, stdout } = await run(['plan', 'configs/half.json', '--json', '--events', '-']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout).error.message).toContain('standard output');
  });
});

/** Calls back once a file has a line that contains `text`. */
function whenLineWith(text: string, file: string, found: () => void): void {
  const timer = setInterval(() => {
    if (!existsSync(file) || !readFileSync(file, 'utf8').includes(text)) return;
    clearInterval(timer);
    found();
  }, 5);
  timer.unref();
}
