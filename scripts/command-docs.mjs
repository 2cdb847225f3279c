/** Writes docs/commands.md from oclif.manifest.json, so that the page cannot say anything else than --help does. */
import { readFileSync, writeFileSync } from 'node:fs';

const { commands } = JSON.parse(readFileSync('oclif.manifest.json', 'utf8'));
const all = Object.values(commands).sort((a, b) => (a.id < b.id ? -1 : 1));
const isGlobal = ({ helpGroup }) => helpGroup === 'GLOBAL';
const text = (value) => value.replaceAll('<%= config.bin %>', 'birdbone');
const cell = (value) => text(value).replaceAll('|', '\\|').replaceAll('\n', ' ');

function flagRows(flags) {
  const rows = flags.map(
    ({ name, char, type, options, helpValue, summary, description, default: preset, required, env }) => {
      const value = type === 'boolean' ? '' : ` ${options?.join('|') ?? helpValue ?? '<value>'}`;
      const notes = [required && 'required', preset !== undefined && type !== 'boolean' && `default ${preset}`].filter(
        Boolean,
      );
      const note = notes.length > 0 ? ` (${notes.join(', ')})` : '';
      return `| \`${char ? `-${char}, ` : ''}--${name}${cell(value)}\` | ${cell(summary ?? description)}${note} | ${env ? `\`${env}\`` : ''} |`;
    },
  );
  return ['| flag | | environment |', '|---|---|---|', ...rows];
}

function commandPage({ id, summary, description, args, flags, examples }) {
  const names = Object.values(args).map(({ name, multiple }) => `${name.toUpperCase()}${multiple ? '...' : ''}`);
  const own = Object.values(flags).filter((flag) => !isGlobal(flag));
  return [
    `## ${id.replaceAll(':', ' ')}`,
    `${summary[0].toUpperCase()}${summary.slice(1)}.`,
    ...(description ? [text(description)] : []),
    '```sh',
    ['birdbone', id.replaceAll(':', ' '), ...names, ...(own.length > 0 ? ['[flags]'] : [])].join(' '),
    '```',
    ...Object.values(args).map((arg) => `- \`${arg.name.toUpperCase()}\`: ${arg.description}`),
    ...(own.length > 0 ? ['', ...flagRows(own)] : []),
    ...examples.flatMap((example) => ['', `${example.description}:`, '', '```sh', text(example.command), '```']),
  ];
}

const globals = Object.values(all[0].flags).filter(isGlobal);
const lines = [
  '# Commands',
  '',
  'Made from the commands themselves by `npm run build`.',
  '',
  '## Every command',
  '',
  ...flagRows(globals),
  ...all.flatMap((command) => {
    const [heading, summary, ...rest] = commandPage(command);
    const fence = rest.indexOf('```sh');
    return [
      '',
      heading,
      '',
      summary,
      ...rest.slice(0, fence).flatMap((line) => ['', line]),
      '',
      ...rest.slice(fence, fence + 3),
      '',
      ...rest.slice(fence + 3),
    ];
  }),
];
writeFileSync('docs/commands.md', `${lines.join('\n').replace(/\n{3,}/g, '\n\n')}\n`);
