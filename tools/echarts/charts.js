// What the report draws: bars and lines as SVG, with tooltips and legends.
export { init } from "echarts/core";
import { use } from "echarts/core";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendScrollComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, GridComponent, LegendScrollComponent, TooltipComponent, SVGRenderer]);
