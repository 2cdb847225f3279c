import { type Chart, heatmap, type Picture } from '../pictures/index.js';
import type { QualityReport, ReportedMatrix } from './report.js';
import { tablesOf } from './tables.js';

/** The report as a page: tables, and where in the model errors and bits are. Pure but for the drawing. */
export async function qualityPicture(report: QualityReport): Promise<Picture> {
  const { names, format, changed, blocks } = report;
  const grid = gridOf(changed);
  const charts: Chart[] = [];
  if (grid.cells(({ error }) => error).length > 0) {
    charts.push(
      await heatmap({
        title: 'Relative error of the weights',
        description: 'Frobenius norm of the difference over that of the matrix.',
        ...grid.axes,
        cells: grid.cells(({ error }) => error),
        unit: 'relative error',
      }),
    );
  }
  // One colour everywhere would say nothing.
  if (new Set(changed.map(({ bits }) => bits)).size > 1) {
    charts.push(
      await heatmap({
        title: 'Bits of a weight',
        description: 'With its share of scales and zero points.',
        ...grid.axes,
        cells: grid.cells(({ bits }) => bits),
        unit: 'bits',
      }),
    );
  }
  const after = blocks === undefined ? '' : ` Blocks were compared on ${blocks.passages} windows.`;
  return {
    title: `${names.after}: quality`,
    text: `Made from ${names.before}, published as ${format}.${after}`,
    sections: [
      { heading: 'Figures', charts: [], tables: tablesOf(report) },
      { heading: 'Where in the model', charts },
    ],
  };
}

/** Matrices by block and by what they are in it, as their names tell: `<…>.<block>.<module>.weight`. */
function gridOf(matrices: readonly ReportedMatrix[]) {
  const placed = matrices.flatMap((matrix) => {
    const [, block, module] = /\.(\d+)\.(.+?)(?:\.weight)?$/.exec(matrix.weight) ?? [];
    return block === undefined || module === undefined ? [] : [{ matrix, block: Number(block), module }];
  });
  const blocks = [...new Set(placed.map(({ block }) => block))].sort((left, right) => left - right);
  const modules = [...new Set(placed.map(({ module }) => module))];
  return {
    axes: {
      columns: { title: 'block', names: blocks.map(String) },
      rows: { title: 'matrix', names: modules },
    },
    cells: (value: (matrix: ReportedMatrix) => number | undefined) =>
      placed.flatMap(({ matrix, block, module }) => {
        const found = value(matrix);
        if (found === undefined) return [];
        return [{ column: blocks.indexOf(block), row: modules.indexOf(module), value: found }];
      }),
  };
}
