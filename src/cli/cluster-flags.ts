import * as Flags from '@oclif/core/flags';
import { BirdboneError } from '../errors.js';
import { amount, bytes, count, envOf, stateFlag } from './flags.js';

/** A flag whose value is a number of clusters, or `auto`. */
const clusterCount = Flags.custom<number | 'auto'>({
  helpValue: '<n>|auto',
  parse: async (text) => {
    if (text === 'auto') return text;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1) return value;
    throw new BirdboneError(
      'usage',
      `"${text}" is not allowed. It must be a whole number of at least 1, or auto, which takes the number with the best silhouette.`,
    );
  },
});

/** Which neurons are clustered, by what, and how. */
export const clusterFlags = {
  neurons: Flags.option({ options: ['ffn', 'heads', 'rows'] as const })({
    summary:
      'What a neuron is: a channel of a feed-forward network (the default), a head, or an output row of a matrix.',
    env: envOf('neurons'),
  }),
  by: Flags.option({ options: ['functional', 'structural', 'both'] as const })({
    summary: 'Describe neurons by what they give over a text (the default with one), by their weights, or by both.',
    env: envOf('by'),
  }),
  method: Flags.option({ options: ['kmeans', 'minibatch', 'dbscan', 'hierarchical'] as const })({
    summary: 'How they are divided into clusters; kmeans by default.',
    env: envOf('method'),
  }),
  k: clusterCount({
    summary: 'How many clusters; auto, the default, takes the number from 2 to 12 with the best silhouette.',
    env: envOf('k'),
  }),
  linkage: Flags.option({ options: ['ward', 'average', 'complete', 'single'] as const })({
    summary: 'How far clusters are apart, for hierarchical; ward by default.',
    env: envOf('linkage'),
  }),
  depth: count({
    summary: 'Cut the tree of hierarchical <n> levels below its root, in place of --k.',
    exclusive: ['k'],
    env: envOf('depth'),
  }),
  epsilon: amount({
    summary: 'How far neighbours are apart at most, for dbscan; by default where distances between them jump.',
    env: envOf('epsilon'),
  }),
  'min-points': count({
    summary: 'Neurons that a dense neighbourhood has, for dbscan; by default the logarithm of all, at least 4.',
    env: envOf('min-points'),
  }),
  bootstrap: count({
    summary:
      'Measure stability, <n> times with another seed and <n> times on neurons drawn with replacement, and whether one cloud would cluster as well.',
    env: envOf('bootstrap'),
  }),
  compare: Flags.string({
    summary: 'A cluster file (.json) of an earlier run to compare with.',
    helpValue: '<file>',
    env: envOf('compare'),
  }),
  'over-waves': Flags.boolean({
    summary: "Follow the clusters through the waves of a run, MODEL being the run's output.",
    env: envOf('over-waves'),
  }),
  picture: Flags.string({
    summary: 'Draw the clusters into one file, .html or .svg.',
    helpValue: '<file>',
    env: envOf('picture'),
  }),
  state: stateFlag,
  memory: bytes({
    summary: 'Memory for hidden states before they go to disk; 1GiB by default.',
    env: envOf('memory'),
  }),
};
