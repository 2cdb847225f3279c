import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { envOf, stateFlag, writerFlags } from '../cli/flags.js';
import { stateText } from '../cli/state-text.js';
import { BirdboneError } from '../errors.js';
import type { TagChange, TagList } from '../waves/index.js';

export default class Tag extends BaseCommand<typeof Tag> {
  static override readonly summary = "name a state of a run's output, list the names, or remove one";
  static override readonly description =
    'A tag names the current state, or the one after the wave --at; rollback, diff and export take it (out/half@best), and gc keeps what it needs.';
  static override readonly writes = 'files';
  static override readonly args = {
    out: Args.string({ required: true, description: 'output folder of a run' }),
    name: Args.string({ description: 'a–z, 0–9, ".", "_" and "-"' }),
  };
  static override readonly flags = {
    at: Flags.string({
      summary: 'The state to name: a wave, dense, or another tag; the current one by default.',
      helpValue: '<n>|<tag>',
      env: envOf('at'),
    }),
    delete: Flags.boolean({ summary: 'Remove the tag.', exclusive: ['at', 'list', 'force'], env: envOf('delete') }),
    list: Flags.boolean({ summary: 'List the tags.', exclusive: ['at', 'force'], env: envOf('list') }),
    force: Flags.boolean({ summary: 'Take the name from the state that has it.', env: envOf('force') }),
    state: stateFlag,
    ...writerFlags,
  };
  static override readonly examples = [
    { description: 'Name the state after the first wave', command: '<%= config.bin %> tag out/half gentle --at 1' },
    { description: 'List the names', command: '<%= config.bin %> tag out/half --list' },
    { description: 'Remove a name', command: '<%= config.bin %> tag out/half gentle --delete' },
  ];

  async run(): Promise<TagChange | TagList> {
    const { readTags, removeTag, tagState } = await import('../waves/index.js');
    const { at, force, state, 'dry-run': dryRun } = this.flags;
    const output = { out: this.args.out, ...(state !== undefined && { state }) };
    if (this.flags.list) {
      const list = await readTags(output);
      this.log(renderList(list));
      return list;
    }
    const { name } = this.args;
    if (name === undefined) throw noName();
    const options = { ...output, name, ...(dryRun !== undefined && { dryRun }) };
    const change = this.flags.delete
      ? await removeTag(options)
      : await tagState({ ...options, ...(at !== undefined && { at }), ...(force !== undefined && { force }) });
    this.log(`${renderChange(change)}${dryRun ? ' (nothing is written)' : ''}`);
    return change;
  }
}

function noName(): BirdboneError {
  return new BirdboneError('usage', 'A tag needs a name.', {
    suggestions: ['birdbone tag OUT NAME', 'See the tags there are: birdbone tag OUT --list'],
  });
}

function renderList({ out, tags }: TagList): string {
  if (tags.length === 0) return `${out} has no tags`;
  const width = Math.max(...tags.map(({ name }) => name.length));
  return tags.map(({ name, state }) => `${name.padEnd(width)}  ${stateText(state)}`).join('\n');
}

function renderChange({ name, state, before }: TagChange): string {
  const was = before === null ? '' : `; it was ${stateText(before)}`;
  return state === null ? `${name} is removed${was}` : `${name} is ${stateText(state)}${was}`;
}
