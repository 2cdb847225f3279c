import { pathToFileURL } from 'node:url';
import { type Finding, RULES, type RuleId } from './rules.js';
import type { ScanReport } from './scan.js';

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

/**
 * A report as SARIF 2.1.0, which code hosts and editors show: one run, all rules, one result for each finding with the file,
 * the byte, and within an archive the member. The same report makes the same object. Source: OASIS, SARIF 2.1.0.
 */
export function sarifLog({ files }: ScanReport, version: string) {
  const ids = Object.keys(RULES) as RuleId[];
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'birdbone', semanticVersion: version, rules: ids.map(reportingDescriptor) } },
        artifacts: files.map(({ path, bytes }) => ({ location: { uri: uriOf(path) }, length: bytes })),
        results: files.flatMap(({ findings }, index) => findings.map((found) => result(found, { index, ids }))),
      },
    ],
  };
}

function reportingDescriptor(id: RuleId) {
  const { level, summary, help } = RULES[id];
  return { id, shortDescription: { text: summary }, help: { text: help }, defaultConfiguration: { level } };
}

function result(found: Finding, { index, ids }: { readonly index: number; readonly ids: readonly RuleId[] }) {
  const { rule, level, file, message, member, byteOffset } = found;
  const physicalLocation = {
    artifactLocation: { uri: uriOf(file), index },
    ...(byteOffset !== undefined && { region: { byteOffset, byteLength: 1 } }),
  };
  const logicalLocations = member === undefined ? undefined : [{ fullyQualifiedName: member, kind: 'member' }];
  return {
    ruleId: rule,
    ruleIndex: ids.indexOf(rule),
    level,
    message: { text: message },
    locations: [{ physicalLocation, ...(logicalLocations !== undefined && { logicalLocations }) }],
  };
}

/** Relative paths stay relative, as a code host needs them; both have everything but plain characters escaped. */
function uriOf(path: string): string {
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path)) return pathToFileURL(path).href;
  return path.replaceAll('\\', '/').split('/').map(encodeURIComponent).join('/');
}
