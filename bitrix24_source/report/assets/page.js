"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const words = JSON.parse(document.getElementById("words").textContent);
  const currency = data.portal.base_currency;
  const charts = [];

  // --- words and figures ---------------------------------------------------------------------------------------------

  const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const whole = new Intl.NumberFormat(words.locale, { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat(words.locale, { notation: "compact", maximumFractionDigits: 1 });
  const tenth = new Intl.NumberFormat(words.locale, { maximumFractionDigits: 1 });
  const monthName = new Intl.DateTimeFormat(words.locale, { month: "short", year: "numeric", timeZone: "UTC" });
  const dayName = new Intl.DateTimeFormat(words.locale, {
    day: "numeric",
    month: "short",
    year: "numeric",
    timeZone: "UTC",
  });
  const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
  const priced = (options) => {
    try {
      return new Intl.NumberFormat(words.locale, {
        style: "currency",
        currency: currency || "",
        currencyDisplay: "narrowSymbol",
        ...options,
      });
    } catch {
      return {
        format: (value) =>
          new Intl.NumberFormat(words.locale, options).format(value) + (currency ? " " + currency : ""),
      };
    }
  };
  const shortMoney = priced({ notation: "compact", maximumFractionDigits: 1, minimumFractionDigits: 0 });
  const wholeMoney = priced({ maximumFractionDigits: 0, minimumFractionDigits: 0 });
  const money = (value) => (value === null || value === undefined ? "–" : shortMoney.format(value));
  const exact = (value) => (value === null || value === undefined ? "–" : wholeMoney.format(value));
  const percent = (value) => (value === null ? "–" : whole.format(100 * value) + " %");
  const days = (value) => (value === null || value === undefined ? "–" : tenth.format(value) + " " + words.days);
  const month = (text) => monthName.format(new Date(text + "-01T00:00:00Z"));
  const day = (text) => (text ? dayName.format(new Date(text + "T00:00:00Z")) : "–");
  const sum = (rows, name) => rows.reduce((total, row) => total + (row[name] || 0), 0);
  const share = (part, all) => (all ? part / all : null);
  const cut = (text, length = 48) => {
    const chars = [...text];
    return chars.length > length ? chars.slice(0, length - 1).join("") + "…" : text;
  };
  const named = (text) => (text === null || text === undefined || text === "" ? words.nobody : String(text));
  const typeTitle = (type) => words.types[type.type] || named(type.title || "SPA " + type.type);

  // --- elements ------------------------------------------------------------------------------------------------------

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    for (const child of children) node.append(child);
    return node;
  }

  function table(columns, rows, caption) {
    const head = element(
      "tr",
      {},
      ...columns.map(([title, , kind]) => element("th", { scope: "col", class: kind || "" }, title)),
    );
    const body = rows.map((row) =>
      element(
        "tr",
        {},
        ...columns.map(([, value, kind]) => element("td", { class: kind || "", dir: "auto" }, String(value(row)))),
      ),
    );
    return element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body)),
    );
  }

  function card(title, note, parts, wide = false) {
    const section = element("section", { class: wide ? "card wide" : "card" }, element("h2", { dir: "auto" }, title));
    if (note) section.append(element("p", {}, note));
    section.append(...parts);
    return section;
  }

  /** A card with a chart, and the figures behind it as a table; a sentence where there is nothing to draw. */
  function chartCard(title, note, rows, columns, option, { height = 300, wide = false } = {}) {
    if (!rows.length) return card(title, note, [element("p", { class: "empty" }, words.nothing)], wide);
    const box = element("div", {
      class: "chart",
      role: "img",
      "aria-label": title + (note ? ". " + note : ""),
      style: "height:" + height + "px",
    });
    charts.push([box, option]);
    const shown = element("details", {}, element("summary", {}, words.table), table(columns, rows, title));
    return card(title, note, [box, shown], wide);
  }

  // --- charts --------------------------------------------------------------------------------------------------------

  const color = (name) =>
    getComputedStyle(document.documentElement)
      .getPropertyValue("--" + name)
      .trim();
  const stageColor = (stage, place) =>
    /^#[0-9a-f]{6}$/i.test(stage.color || "")
      ? stage.color
      : stage.semantics === "success"
        ? color("won")
        : stage.semantics === "failure"
          ? color("lost")
          : ["#5b9bd5", "#70b7c9", "#8fc79a", "#d7b46a", "#c98f70", "#9a8fc7"][place % 6];

  /** Tooltips are elements, so that no title is ever read as markup. */
  function tooltip(format, trigger = "axis") {
    return {
      trigger,
      confine: true,
      backgroundColor: color("card"),
      borderColor: color("line"),
      textStyle: { color: color("ink"), fontSize: 13 },
      axisPointer: { type: "shadow" },
      formatter: (params) => {
        const list = Array.isArray(params) ? params : [params];
        const box = element(
          "div",
          {},
          element("b", {}, String(list[0].data && list[0].data.full !== undefined ? list[0].data.full : list[0].name)),
        );
        box.style.maxWidth = "22rem";
        box.style.whiteSpace = "normal";
        box.style.overflowWrap = "anywhere";
        for (const point of list) {
          const value = point.data !== null && typeof point.data === "object" ? point.data.value : point.data;
          if (value === null || value === undefined) continue;
          const text =
            point.data !== null && typeof point.data === "object" && point.data.said ? point.data.said : format(value);
          box.append(element("div", {}, (list.length > 1 || point.seriesName ? point.seriesName + ": " : "") + text));
        }
        return box;
      },
    };
  }

  function base(format) {
    return {
      animation: false,
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: color("ink") },
      tooltip: tooltip(format),
      grid: { left: 8, right: 16, top: 12, bottom: 4, containLabel: true },
    };
  }
  const legend = () => ({
    type: "scroll",
    top: 0,
    left: 0,
    itemWidth: 12,
    itemHeight: 12,
    icon: "roundRect",
    textStyle: { color: color("soft") },
    pageTextStyle: { color: color("soft") },
    pageIconColor: color("accent"),
    pageIconInactiveColor: color("line"),
  });
  const valueAxis = (format, more = {}) => ({
    type: "value",
    axisLabel: { color: color("faint"), formatter: format, hideOverlap: true },
    splitLine: { lineStyle: { color: color("line") } },
    splitNumber: 4,
    ...more,
  });
  const narrow = () => window.innerWidth < 560;

  /** Horizontal bars: one row for each name. */
  function bars(names, series, { format = number, stacked = true, max, labels = false } = {}) {
    return () => ({
      ...base(format),
      legend: series.length > 1 ? legend() : undefined,
      grid: {
        left: 4,
        right: labels
          ? 14 + 7 * Math.max(8, ...series.flatMap((part) => part.labels || []).map((text) => text.length))
          : 24,
        top: series.length > 1 ? 34 : 6,
        bottom: 0,
        containLabel: true,
      },
      xAxis: valueAxis(
        (value) => short.format(max === 1 ? 100 * value : value) + (max === 1 ? " %" : ""),
        max === 1 ? { max, interval: 0.25 } : {},
      ),
      yAxis: {
        type: "category",
        inverse: true,
        data: names.map((name) => cut(name)),
        axisTick: { show: false },
        axisLine: { lineStyle: { color: color("line") } },
        axisLabel: {
          color: color("ink"),
          width: narrow() ? 96 : 168,
          overflow: "break",
          lineHeight: 14,
          fontSize: 12,
          interval: 0,
        },
      },
      series: series.map((part) => ({
        type: "bar",
        name: part.name,
        stack: stacked ? "all" : undefined,
        barMaxWidth: stacked ? 20 : 11,
        barGap: "10%",
        itemStyle: { color: part.color && part.color(), borderRadius: 2 },
        data: part.values.map((value, place) => ({
          value,
          full: names[place],
          said: part.said && part.said[place],
          itemStyle: part.colors ? { color: part.colors()[place] } : undefined,
        })),
        label: labels
          ? {
              show: true,
              position: "right",
              color: color("soft"),
              fontSize: 12,
              formatter: (point) => (part.labels ? part.labels[point.dataIndex] : format(point.value)),
            }
          : undefined,
      })),
    });
  }

  /** Columns or lines over months or days. */
  function overTime(names, series, { format = number, stacked = true, line = false } = {}) {
    return () => ({
      ...base(format),
      legend: series.length > 1 ? legend() : undefined,
      grid: { left: 4, right: 36, top: series.length > 1 ? 40 : 14, bottom: 4, containLabel: true },
      xAxis: {
        type: "category",
        data: names,
        boundaryGap: !line,
        axisTick: { show: false },
        axisLabel: { color: color("faint"), hideOverlap: true },
        axisLine: { lineStyle: { color: color("line") } },
      },
      yAxis: valueAxis((value) => short.format(value)),
      series: series.map((part) => ({
        type: part.line || line ? "line" : "bar",
        name: part.name,
        stack: part.line ? undefined : stacked ? "all" : undefined,
        data: part.values,
        symbol: part.line ? "circle" : "none",
        symbolSize: 5,
        barMaxWidth: 26,
        itemStyle: { color: part.color() },
        lineStyle: { color: part.color(), width: part.line ? 2 : 1 },
        areaStyle: line && !part.line ? { color: part.color(), opacity: 0.55 } : undefined,
      })),
    });
  }

  /** Lines that a label beside a bar takes. */
  const linesOf = (name) =>
    cut(name)
      .split(" ")
      .reduce(
        ([lines, used], word) =>
          used && used + 1 + word.length > (narrow() ? 13 : 24)
            ? [lines + 1, word.length]
            : [lines, used + Math.min(used, 1) + word.length],
        [1, 0],
      )[0];
  const rowHeight = (names, each = 30) =>
    Math.max(120, 46 + names.length * Math.max(each, 8 + 14 * Math.max(0, ...names.map(linesOf))));
  const outcome = (rows) =>
    ["open", "won", "lost"].map((name) => ({
      name: words[name],
      values: rows.map((row) => row[name]),
      color: () => color(name),
    }));
  const outcomeColumns = (title, name) => [
    [title, name],
    [words.open, (row) => number(row.open), "number"],
    [words.won, (row) => number(row.won), "number"],
    [words.lost, (row) => number(row.lost), "number"],
    [words.rate, (row) => percent(share(row.won, row.won + row.lost)), "number"],
    [words.amountWon, (row) => exact(row.amount_won), "number"],
  ];

  /** All months from the first to the last, so that an empty one is seen. */
  function calendar(rows) {
    if (!rows.length) return [];
    const months = rows.map((row) => row.month).sort();
    const found = [];
    let [year, place] = months[0].split("-").map(Number);
    for (;;) {
      const name = year + "-" + String(place).padStart(2, "0");
      found.push(name);
      if (name >= months[months.length - 1] || found.length > 600) return found;
      if (++place > 12) {
        place = 1;
        year++;
      }
    }
  }

  function byMonth(rows, names) {
    const kept = new Map(
      calendar(rows).map((name) => [name, { month: name, ...Object.fromEntries(names.map((name) => [name, 0])) }]),
    );
    for (const row of rows) for (const name of names) kept.get(row.month)[name] += row[name] || 0;
    return [...kept.values()];
  }

  // --- pages ---------------------------------------------------------------------------------------------------------

  function tiles(rows) {
    const [won, lost, count] = ["won", "lost", "priced_won"].map((name) => sum(rows, name));
    const amount = rows.some((row) => row.amount_won !== null) ? sum(rows, "amount_won") : null;
    const openAmount = rows.some((row) => row.amount_open !== null) ? sum(rows, "amount_open") : null;
    const cycles = sum(rows, "cycle_count");
    const list = [
      ["items", words.items, number(sum(rows, "items"))],
      [
        "open",
        words.open,
        number(sum(rows, "open")),
        openAmount === null ? "" : say("openAmount", { amount: money(openAmount) }),
      ],
      ["won", words.won, number(won)],
      ["lost", words.lost, number(lost)],
      ["rate", words.rate, percent(share(won, won + lost)), words.ofClosed],
      [
        "amount_won",
        words.amountWon,
        money(amount),
        say("averageNote", { amount: money(amount === null ? null : share(amount, count)) }),
      ],
      ["cycle", words.cycle, days(cycles ? sum(rows, "cycle_sum") / cycles : null), words.toWin],
      ["overdue", words.overdue, number(sum(rows, "overdue")), words.ofOpen],
    ];
    return element(
      "dl",
      { class: "tiles" },
      ...list.map(([key, title, value, note]) =>
        element(
          "div",
          { class: "tile", "data-figure": key },
          element("dt", {}, title),
          element("dd", {}, value, ...(note ? [element("small", {}, note)] : [])),
        ),
      ),
    );
  }

  function facts() {
    const text = say("facts", {
      until: day(data.portal.data_until),
      loaded: day(data.portal.loaded_at.slice(0, 10)) + ", " + data.portal.loaded_at.slice(11),
      zone: data.portal.zone || words.unknown,
      currency: currency || words.noCurrency,
    });
    return element(
      "p",
      { class: "facts" },
      text + (data.since ? " · " + say("since", { since: day(data.since) }) : ""),
    );
  }

  function overview() {
    const flow = byMonth(data.months, ["items", "closed_won", "closed_lost", "closed_amount"]);
    const names = flow.map((row) => month(row.month));
    const few = data.types.slice(0, 20);
    return [
      tiles(data.types),
      element(
        "div",
        { class: "cards" },
        chartCard(
          words.createdClosed,
          words.createdClosedNote,
          flow,
          [
            [words.month, (row) => month(row.month)],
            [words.created, (row) => number(row.items), "number"],
            [words.won, (row) => number(row.closed_won), "number"],
            [words.lost, (row) => number(row.closed_lost), "number"],
          ],
          overTime(names, [
            { name: words.won, values: flow.map((row) => row.closed_won), color: () => color("won") },
            { name: words.lost, values: flow.map((row) => row.closed_lost), color: () => color("lost") },
            { name: words.created, values: flow.map((row) => row.items), color: () => color("accent"), line: true },
          ]),
          { wide: true, height: 320 },
        ),
        chartCard(
          words.sideBySide,
          words.sideNote,
          few,
          outcomeColumns(words.type, typeTitle),
          bars(few.map(typeTitle), outcome(few)),
          { height: rowHeight(few.map(typeTitle), 34) },
        ),
        chartCard(
          words.wonByMonth,
          currency || "",
          flow,
          [
            [words.month, (row) => month(row.month)],
            [words.amountWon, (row) => exact(row.closed_amount), "number"],
          ],
          overTime(
            names,
            [{ name: words.amountWon, values: flow.map((row) => row.closed_amount), color: () => color("won") }],
            { format: exact },
          ),
          { height: rowHeight(few.map(typeTitle), 34) },
        ),
      ),
    ];
  }

  function typePage(type) {
    const of = (rows) => rows.filter((row) => row.type === type.type);
    const stages = of(data.stages);
    const categories = [...new Map(stages.map((row) => [row.category_id, row.category])).entries()];
    const moves = of(data.moves);
    const label = (row) => named(row.stage) + (categories.length > 1 && row.category ? " · " + row.category : "");
    const found = new Map(stages.map((row) => [row.category_id + "/" + row.stage_id, row]));
    const cards = categories.map(([id, category]) => {
      const rows = stages.filter((row) => row.category_id === id);
      const texts = rows.map((row) => number(row.items) + (row.amount ? " · " + money(row.amount) : ""));
      return chartCard(
        categories.length > 1 && category ? say("stagesOf", { category }) : words.stages,
        words.stagesNote + (currency ? " (" + currency + ")" : ""),
        rows,
        [
          [words.stage, (row) => named(row.stage)],
          [words.items, (row) => number(row.items), "number"],
          [words.amount, (row) => exact(row.amount), "number"],
        ],
        bars(
          rows.map((row) => named(row.stage)),
          [
            {
              name: words.items,
              values: rows.map((row) => row.items),
              said: rows.map((row) => number(row.items) + (row.amount ? " · " + exact(row.amount) : "")),
              labels: texts,
              colors: () => rows.map(stageColor),
            },
          ],
          { labels: true },
        ),
        {
          height: rowHeight(
            rows.map((row) => named(row.stage)),
            32,
          ),
        },
      );
    });
    const flow = byMonth(of(data.months), ["open", "won", "lost"]);
    cards.push(
      chartCard(
        words.became,
        words.becameNote,
        flow,
        [
          [words.month, (row) => month(row.month)],
          [words.open, (row) => number(row.open), "number"],
          [words.won, (row) => number(row.won), "number"],
          [words.lost, (row) => number(row.lost), "number"],
        ],
        overTime(
          flow.map((row) => month(row.month)),
          ["won", "lost", "open"].map((name) => ({
            name: words[name],
            values: flow.map((row) => row[name]),
            color: () => color(name),
          })),
        ),
      ),
    );
    const steps = moves.map((row) => ({
      ...found.get(row.category_id + "/" + row.stage_id),
      ...row,
      back: row.entered - row.onward - row.lost - row.still,
    }));
    const parts = [
      ["onward", "won"],
      ["lost", "lost"],
      ["back", "neutral"],
      ["still", "open"],
    ];
    cards.push(
      chartCard(
        words.conversion,
        words.conversionNote,
        steps,
        [
          [words.stage, label],
          [words.entered, (row) => number(row.entered), "number"],
          ...parts.map(([name]) => [
            words[name],
            (row) => number(row[name]) + " · " + percent(share(row[name], row.entered)),
            "number",
          ]),
        ],
        bars(
          steps.map(label),
          parts.map(([name, tone]) => ({
            name: words[name],
            values: steps.map((row) => share(row[name], row.entered)),
            said: steps.map((row) => number(row[name]) + " · " + percent(share(row[name], row.entered))),
            color: () => color(tone),
          })),
          { format: percent, max: 1 },
        ),
        { height: rowHeight(steps.map(label), 34) },
      ),
    );
    const ended = steps.filter((row) => row.median !== null);
    cards.push(
      chartCard(
        words.dwell,
        words.dwellNote,
        ended,
        [
          [words.stage, label],
          [words.median, (row) => days(row.median), "number"],
          [words.p90, (row) => days(row.p90), "number"],
        ],
        bars(
          ended.map(label),
          [
            ["median", "accent"],
            ["p90", "neutral"],
          ].map(([name, tone]) => ({
            name: words[name],
            values: ended.map((row) => row[name]),
            color: () => color(tone),
          })),
          { format: days, stacked: false },
        ),
        { height: rowHeight(ended.map(label), 36) },
      ),
    );
    if (data.daily.length) {
      const points = data.daily[0].days;
      for (const [id, category] of categories) {
        const lines = of(data.daily.slice(1))
          .filter((row) => row.category_id === id)
          .map((row) => ({ ...found.get(row.category_id + "/" + row.stage_id), ...row, values: row.items }))
          .sort((left, right) => (left.order || 0) - (right.order || 0));
        if (!lines.length) continue;
        const start = Math.max(
          0,
          points.findIndex((_, place) => lines.some((row) => row.values[place])),
        );
        cards.push(
          chartCard(
            categories.length > 1 && category ? say("dailyOf", { category }) : words.daily,
            words.dailyNote,
            points.slice(start).map((text, place) => ({ day: text, place: place + start })),
            [
              [words.day, (row) => day(row.day)],
              ...lines.map((line) => [named(line.stage), (row) => number(line.values[row.place]), "number"]),
            ],
            overTime(
              points.slice(start).map(day),
              lines.map((line, place) => ({
                name: named(line.stage),
                values: line.values.slice(start),
                color: () => stageColor(line, place),
              })),
              { line: true },
            ),
          ),
        );
      }
    }
    const owners = of(data.owners);
    if (data.people)
      cards.push(
        chartCard(
          words.owners,
          words.ownersNote,
          owners,
          outcomeColumns(words.person, (row) => named(row.name)),
          bars(
            owners.map((row) => named(row.name)),
            outcome(owners),
          ),
          {
            height: rowHeight(
              owners.map((row) => named(row.name)),
              26,
            ),
          },
        ),
      );
    const companies = of(data.companies).filter((row) => row.amount_won);
    if (companies.length)
      cards.push(
        chartCard(
          words.companies,
          words.companiesNote + (currency ? " · " + currency : ""),
          companies,
          outcomeColumns(words.company, (row) => named(row.name)),
          bars(
            companies.map((row) => named(row.name)),
            [{ name: words.amountWon, values: companies.map((row) => row.amount_won), color: () => color("accent") }],
            { format: exact },
          ),
          {
            height: rowHeight(
              companies.map((row) => named(row.name)),
              26,
            ),
          },
        ),
      );
    const late = of(data.overdue);
    cards.push(
      card(
        words.late,
        late.length < type.overdue ? say("lateNote", { count: number(late.length), all: number(type.overdue) }) : "",
        [
          late.length
            ? table(
                [
                  [words.id, (row) => row.id, "number"],
                  [words.title, (row) => named(row.title)],
                  [words.stage, (row) => named(row.stage)],
                  ...(data.people ? [[words.person, (row) => named(row.responsible)]] : []),
                  [words.due, (row) => day(row.due)],
                  [
                    words.daysLate,
                    (row) => number((Date.parse(data.portal.today) - Date.parse(row.due)) / 864e5),
                    "number",
                  ],
                ],
                late,
                words.late,
              )
            : element("p", { class: "empty" }, words.noLate),
        ],
        true,
      ),
    );
    return [tiles([type]), element("div", { class: "cards" }, ...cards)];
  }

  function people() {
    const first = data.people.slice(0, 25);
    const rated = data.people
      .filter((row) => row.won + row.lost >= 5)
      .sort((left, right) => share(right.won, right.won + right.lost) - share(left.won, left.won + left.lost))
      .slice(0, 25);
    const columns = [
      [words.person, (row) => named(row.name)],
      [words.department, (row) => row.department || "–"],
      ...outcomeColumns("", () => "").slice(1),
      [words.cycle, (row) => days(row.cycle_days), "number"],
      [words.overdue, (row) => number(row.overdue), "number"],
    ];
    return [
      element(
        "div",
        { class: "cards" },
        chartCard(
          words.allPeople,
          words.sideNote,
          first,
          outcomeColumns(words.person, (row) => named(row.name)),
          bars(
            first.map((row) => named(row.name)),
            outcome(first),
          ),
          {
            height: rowHeight(
              first.map((row) => named(row.name)),
              26,
            ),
          },
        ),
        chartCard(
          words.winRates,
          words.winNote,
          rated,
          outcomeColumns(words.person, (row) => named(row.name)),
          bars(
            rated.map((row) => named(row.name)),
            [
              {
                name: words.rate,
                values: rated.map((row) => share(row.won, row.won + row.lost)),
                color: () => color("won"),
              },
            ],
            { format: percent, max: 1 },
          ),
          {
            height: rowHeight(
              rated.map((row) => named(row.name)),
              26,
            ),
          },
        ),
        card(words.peopleTable, "", [table(columns, data.people, words.peopleTable)], true),
      ),
    ];
  }

  function sources() {
    const merged = new Map();
    for (const row of data.sources) {
      const source = merged.get(row.key) || { name: row.name || row.key, open: 0, won: 0, lost: 0, amount_won: 0 };
      for (const name of ["open", "won", "lost", "amount_won"]) source[name] += row[name] || 0;
      merged.set(row.key, source);
    }
    const rows = [...merged.values()]
      .sort((left, right) => right.open + right.won + right.lost - left.open - left.won - left.lost)
      .slice(0, 20);
    const names = data.products.map((row) => named(row.name));
    const product = (row) =>
      named(row.name) +
      (names.indexOf(named(row.name)) === names.lastIndexOf(named(row.name))
        ? ""
        : " · " + (row.key === null ? words.freeText : words.id + " " + row.key));
    return [
      element(
        "div",
        { class: "cards" },
        chartCard(
          words.bySource,
          words.sideNote,
          rows,
          outcomeColumns(words.source, (row) => named(row.name)),
          bars(
            rows.map((row) => named(row.name)),
            outcome(rows),
          ),
          {
            height: rowHeight(
              rows.map((row) => named(row.name)),
              30,
            ),
          },
        ),
        chartCard(
          words.products,
          words.productsNote + (currency ? " · " + currency : ""),
          data.products,
          [
            [words.product, product],
            [words.lines, (row) => number(row.lines), "number"],
            [words.quantity, (row) => number(row.quantity), "number"],
            [words.amount, (row) => exact(row.amount), "number"],
            [words.amountWon, (row) => exact(row.amount_won), "number"],
          ],
          bars(
            data.products.map(product),
            [{ name: words.amount, values: data.products.map((row) => row.amount), color: () => color("accent") }],
            { format: exact },
          ),
          { height: rowHeight(data.products.map(product), 28) },
        ),
      ),
    ];
  }

  function health() {
    const rows = data.health;
    const fields = ["title", "stage", "responsible", "company", "contact", "source", "due_date", "amount_base"].filter(
      (name) => data.people || name !== "responsible",
    );
    const list = [
      ["tables", words.tablesLoaded, number(rows.length)],
      ["rows", words.rows, number(sum(rows, "rows"))],
      ["issues", words.issues, number(sum(rows, "issues"))],
      ["rejected", words.rejected, number(sum(rows, "rejected"))],
    ];
    const titles = new Map(data.types.map((type) => [type.type, typeTitle(type)]));
    const total = sum(data.filled, "items");
    const filled = fields.map((name) => ({
      name: words["field_" + name],
      share: share(sum(data.filled, name), total),
    }));
    return [
      element(
        "dl",
        { class: "tiles" },
        ...list.map(([key, title, value]) =>
          element("div", { class: "tile", "data-figure": key }, element("dt", {}, title), element("dd", {}, value)),
        ),
      ),
      element(
        "div",
        { class: "cards" },
        chartCard(
          words.filled,
          words.filledNote,
          filled,
          [
            [words.title, (row) => row.name],
            [words.items, (row) => percent(row.share), "number"],
          ],
          bars(
            filled.map((row) => row.name),
            [{ name: words.filled, values: filled.map((row) => row.share), color: () => color("accent") }],
            { format: percent, max: 1 },
          ),
          { height: rowHeight(filled.map((row) => row.name)) },
        ),
        card(words.filled, words.filledNote, [
          table(
            [
              [words.type, (row) => titles.get(row.type)],
              ...fields.map((name) => [
                words["field_" + name],
                (row) => percent(share(row[name], row.items)),
                "number",
              ]),
            ],
            data.filled,
            words.filled,
          ),
        ]),
        card(
          words.reported,
          data.issues.length ? words.reportedNote : "",
          [
            data.issues.length
              ? table(
                  [
                    [words.when, (row) => row.occurred_at || "–"],
                    [words.latest, (row) => (row.is_latest ? "✓" : "–")],
                    [words.resource, (row) => row.resource || "–"],
                    [words.error, (row) => row.error || "–"],
                    [words.message, (row) => row.message + (row.hint ? " → " + row.hint : "")],
                  ],
                  data.issues,
                  words.reported,
                )
              : element("p", { class: "empty" }, words.noIssues),
          ],
          true,
        ),
        card(
          words.tables,
          words.healthNote,
          [
            table(
              [
                [words.resource, (row) => row.resource],
                [words.rows, (row) => number(row.rows), "number"],
                [words.issues, (row) => number(row.issues), "number"],
                [words.rejected, (row) => number(row.rejected), "number"],
              ],
              rows,
              words.tables,
            ),
          ],
          true,
        ),
      ),
    ];
  }

  // --- the page around them ------------------------------------------------------------------------------------------

  const pages = new Map([["", [words.overview, overview]]]);
  for (const type of data.types) pages.set("type-" + type.type, [typeTitle(type), () => typePage(type)]);
  if (data.people) pages.set("people", [words.people, people]);
  pages.set("sources", [words.sources, sources]);
  pages.set("health", [words.health, health]);

  function header(current) {
    const many = data.types.length > 8;
    const links = [...pages]
      .filter(([key]) => !many || !key.startsWith("type-"))
      .map(([key, [title]]) =>
        element("a", { href: "#" + key, ...(key === current ? { "aria-current": "page" } : {}) }, cut(title, 40)),
      );
    const nav = element("nav", { "aria-label": words.nav }, ...links);
    if (many) {
      const options = data.types.map((type) =>
        element(
          "option",
          { value: "type-" + type.type, ...(current === "type-" + type.type ? { selected: "" } : {}) },
          cut(typeTitle(type), 60),
        ),
      );
      const select = element(
        "select",
        { "aria-label": words.pick },
        element("option", { value: "" }, words.pick),
        ...options,
      );
      select.addEventListener("change", () => {
        location.hash = select.value;
      });
      nav.insertBefore(select, nav.children[1]);
    }
    document
      .getElementById("header")
      .replaceChildren(
        element(
          "div",
          { class: "bar" },
          element("span", { class: "brand" }, "Bitrix24 · " + (data.portal.host || "")),
          nav,
        ),
      );
  }

  function draw() {
    for (const chart of charts) {
      if (chart[2]) chart[2].dispose();
      chart[2] = echarts.init(chart[0], null, { renderer: "svg" });
      chart[2].setOption(chart[1]());
    }
    document.documentElement.dataset.ready = String(charts.length);
  }

  function show(focus) {
    const key = decodeURIComponent(location.hash.slice(1));
    if (key === "main") return;
    const current = pages.has(key) ? key : "";
    const [title, make] = pages.get(current);
    for (const chart of charts.splice(0)) if (chart[2]) chart[2].dispose();
    header(current);
    document.title = title + " · Bitrix24 · " + (data.portal.host || "");
    const main = document.getElementById("main");
    main.replaceChildren(element("h1", { dir: "auto" }, title), facts(), ...make());
    draw();
    if (focus) {
      main.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
  }

  let width = window.innerWidth;
  window.addEventListener("hashchange", () => show(true));
  window.addEventListener("resize", () => {
    if (width === window.innerWidth) return;
    width = window.innerWidth;
    draw();
  });
  window.addEventListener("beforeprint", () => {
    for (const chart of charts) chart[2].resize({ width: chart[0].clientWidth });
  });
  window.addEventListener("afterprint", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const skip = document.getElementById("skip");
  skip.textContent = words.skip;
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  document.getElementById("footer").textContent = words.footer;
  show(false);
})();
