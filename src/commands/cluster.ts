import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.js';
import { clusterFlags } from '../cli/cluster-flags.js';
import { clusterReport } from '../cli/cluster-report.js';
import { envOf, writerFlags } from '../cli/flags.js';
import { checkCalibrationFlags, textFlags } from '../cli/recipe-flags.js';
import type { GroupResult } from '../grouping/index.js';

export default class Cluster extends BaseCommand<typeof Cluster> {
  static override readonly summary = 'find groups of neurons that behave alike, say how good they are, and draw them';
  static override readonly description =
    'Channels and rows are clustered block by block, heads over the whole model. JSON has the cluster of each neuron and what the clusters are like; CSV has a line for each neuron.';
  static override readonly writes = 'files';
  static override readonly args = {
    model: Args.string({ required: true, description: 'model folder or file, or a state of a run: OUT@N' }),
  };
  static override readonly flags = {
    out: Flags.string({
      summary: 'File to write, .json or .csv.',
      required: true,
      helpValue: '<file>',
      env: envOf('out'),
    }),
    ...clusterFlags,
    ...textFlags,
    ...writerFlags,
  };
  static override readonly examples = [
    {
      description: 'Channels that behave alike on a text',
      command:
        '<%= config.bin %> cluster models/fledgling --calibration models/fledgling/calibration.txt --out clusters.json',
    },
    {
      description: 'Heads by their weights alone, drawn',
      command:
        '<%= config.bin %> cluster models/fledgling --neurons heads --by structural --out heads.json --picture heads.html',
    },
    {
      description: 'How the clusters fared in a prune, wave by wave',
      command:
        '<%= config.bin %> cluster out/half --over-waves --calibration models/fledgling/calibration.txt --out waves.json',
    },
    {
      description: 'How far another method finds the same clusters',
      command:
        '<%= config.bin %> cluster models/fledgling --method hierarchical --calibration models/fledgling/calibration.txt --out tree.json --compare clusters.json',
    },
  ];

  async run(): Promise<GroupResult> {
    const { groupNeurons } = await import('../grouping/index.js');
    const { calibration, 'calibration-windows': windows = 128, context = 256, memory, bootstrap } = this.flags;
    const { neurons = 'ffn', method = 'kmeans', k = 'auto', seed = 0, device, out } = this.flags;
    const { by = calibration === undefined ? 'structural' : 'functional' } = this.flags;
    const { linkage, depth, epsilon, 'min-points': minPoints, compare, picture, state } = this.flags;
    checkCalibrationFlags(this.flags);
    const result = await groupNeurons({
      model: this.args.model,
      neurons,
      by,
      method,
      k,
      seed,
      out,
      device,
      ...this.deviceOptions,
      overWaves: this.flags['over-waves'],
      ...(calibration !== undefined && { calibration: { file: calibration, windows, context } }),
      ...(linkage !== undefined && { linkage }),
      ...(depth !== undefined && { depth }),
      ...(epsilon !== undefined && { epsilon }),
      ...(minPoints !== undefined && { minPoints }),
      ...(bootstrap !== undefined && { bootstraps: bootstrap }),
      ...(compare !== undefined && { compare }),
      ...(picture !== undefined && { picture }),
      ...(state !== undefined && { state }),
      ...(memory !== undefined && { memoryBytes: memory }),
      dryRun: this.flags['dry-run'],
      report: this.report,
      signal: this.signal,
    });
    this.log(clusterReport(result));
    return result;
  }
}
