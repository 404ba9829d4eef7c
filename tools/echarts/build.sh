#!/usr/bin/env bash
# Builds the charts of the report from the packages of package-lock.json, whose hashes npm checks, and puts them where the report
# embeds them, with the licences of what is in them.
set -euo pipefail
cd "$(dirname "$0")"
assets=../../bitrix24_source/report/assets
npm ci --ignore-scripts --no-audit --no-fund --silent
npm run --silent build
version=$(node -p 'require("echarts/package.json").version')
{ echo "/* Apache ECharts $version (Apache-2.0), zrender (BSD-3-Clause), d3 (BSD-3-Clause), tslib (0BSD): LICENSES.txt */"; cat echarts.min.js; } > "$assets/echarts.min.js"
{
  for file in echarts/NOTICE echarts/LICENSE echarts/licenses/LICENSE-d3 zrender/LICENSE tslib/LICENSE.txt; do
    printf '%s\n\n' "===== $file ====="
    cat "node_modules/$file"
    echo
  done
} > "$assets/LICENSES.txt"
(cd "$assets" && sha256sum echarts.min.js LICENSES.txt > SHA256SUMS)
rm -rf node_modules echarts.min.js
