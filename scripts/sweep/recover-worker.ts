import { pathToFileURL } from 'node:url';

/** A command line to run in a folder. */
export interface Errand {
  readonly folder: string;
  readonly argv: readonly string[];
}

export interface ErrandEnd {
  readonly code: number;
  readonly output: string;
}

const [root = ''] = process.argv.slice(2);
const { main } = (await import(pathToFileURL(`${root}/dist/cli/main.js`).href)) as {
  main: (argv: string[], root: string) => Promise<void>;
};

/** The command line, in this process: what follows a blow is checked hundreds of times, and starting node costs most of it. */
async function runErrand({ folder, argv }: Errand): Promise<ErrandEnd> {
  process.chdir(folder);
  process.exitCode = undefined;
  let output = '';
  const { write: out } = process.stdout;
  const { write: err } = process.stderr;
  const collect = (chunk: string | Uint8Array): boolean => {
    output += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    return true;
  };
  process.stdout.write = collect;
  process.stderr.write = collect;
  try {
    await main([...argv], root);
  } finally {
    process.stdout.write = out;
    process.stderr.write = err;
  }
  const code = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  // Not to be in the way of a file system that is to be taken away.
  process.chdir('/');
  return { code, output };
}

process.on('message', async (errand: Errand) => process.send!(await runErrand(errand)));
process.on('disconnect', () => process.exit(0));
process.send!('ready');
