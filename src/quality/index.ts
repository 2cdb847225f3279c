export { qualityMarkdown } from './markdown.js';
export { qualityPicture } from './picture.js';
export {
  type QualityInput,
  type QualityReport,
  qualityReport,
  type ReportedFigure,
  type ReportedMatrix,
  type ReportedWave,
} from './report.js';
