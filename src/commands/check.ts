import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, stateFlag } from '../cli/flags.js';
import { formatBytes } from '../cli/quantities.js';
import { EXIT_CODES } from '../errors.js';
import type { StateCheck, StateFinding } from '../state/index.js';

/** Enough to see what kind of tensors they are; --json has them all. */
const SHOWN_CHANGES = 3;

export default class Check extends BaseCommand<typeof Check> {
  static override readonly summary = "check that a run's state is all there, and undamaged";
  static override readonly description =
    `Looks at the journal's chain of digests and at every object that the current state or a tag needs; with --read-data every byte in the store is read, hashed and decoded, so that no changed bit is missed.
Names what is damaged or missing, the tensors it held, and the states that cannot be made without it. Changes nothing. Exit code 5 when anything is found.`;
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
  };
  static override readonly flags = {
    'read-data': Flags.boolean({
      summary: 'Read every byte, rather than names and sizes.',
      env: envOf('read-data'),
    }),
    state: stateFlag,
  };
  static override readonly examples = [
    { description: 'Check that nothing is missing', command: '<%= config.bin %> check out/half' },
    { description: 'Read every byte, as before an archive', command: '<%= config.bin %> check out/half --read-data' },
    {
      description: 'The states that are lost, for a script',
      command: "<%= config.bin %> check out/half --read-data --json | jq -r '.findings[].states[]' | sort -u",
    },
  ];

  async run(): Promise<StateCheck> {
    const { checkState, stateFolder } = await import('../state/index.js');
    const checked = await checkState(stateFolder(this.args.out, this.flags.state), {
      readData: this.flags['read-data'] ?? false,
      report: this.report,
      signal: this.signal,
    });
    this.log(renderCheck(checked));
    if (!checked.sound) process.exitCode = EXIT_CODES.mismatch;
    return checked;
  }
}

function renderCheck(checked: StateCheck): string {
  const { state, readData, records, waves, objects, bytes, unreferenced, search, findings } = checked;
  const held = `${records} records, ${waves.length} waves, ${objects} objects of ${formatBytes(bytes)}`;
  const how = readData ? 'every byte read' : 'names and sizes; --read-data reads every byte';
  const rest = `${unreferenced.files} files of ${formatBytes(unreferenced.bytes)} that nothing refers to: birdbone gc`;
  return [
    findings.length === 0 ? `${state} is sound: ${held} (${how})` : `${state} is not as it was left: ${held} (${how})`,
    ...findings.flatMap(renderFinding),
    ...(unreferenced.files === 0 ? [] : [rest]),
    ...(search === undefined
      ? []
      : [
          `${search.candidates} candidates of ${formatBytes(search.bytes)} in ${search.folder}: birdbone gc, once the run is published`,
        ]),
  ].join('\n');
}

function renderFinding({ file, problem, detail, affected, states }: StateFinding): string[] {
  const changes = affected.map(({ wave, tensor }) =>
    tensor === undefined ? `wave ${wave}` : `${tensor} of wave ${wave}`,
  );
  const more = changes.length > SHOWN_CHANGES ? ` and ${changes.length - SHOWN_CHANGES} more` : '';
  return [
    `${problem.padEnd(8)} ${file}`,
    `         ${detail}`,
    ...(changes.length === 0 ? [] : [`         held ${changes.slice(0, SHOWN_CHANGES).join(', ')}${more}`]),
    ...(states.length === 0 ? [] : [`         needed by the states ${states.join(', ')}`]),
  ];
}
