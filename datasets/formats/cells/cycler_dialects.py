"""What the columns of cyclers' tables are called: one table per maker, no code.

Names are as `table_header` makes them plain. A quantity takes the first name that the table has and whose
unit is of the right kind, so "Step" (a number) and "Step (Sec)" (a time) are told apart. Sources: the real files named in the
tests, and the tables of names in cellpy, PyProBE, BDF and navani (MIT, BSD-3, Apache-2.0, MIT) for the programs of which no
file was here.

Counters of charge come in three kinds, and each program has its own:

- a pair `charging_capacity`, `discharging_capacity`, both positive, which run on or restart at any time;
- `capacity`, positive, restarting with each step, whose direction the current or the mode of the step tells;
- `net_capacity`, signed like the current.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

KIND: dict[str, str] = {
    "time": "s", "step_time": "s", "potential": "V", "current": "ampere", "charging_capacity": "Ah",
    "discharging_capacity": "Ah", "capacity": "Ah", "net_capacity": "Ah", "charging_energy": "Wh", "discharging_energy": "Wh",
    "energy_counter": "Wh",
    "temperature": "degC", "internal_resistance": "ohm", "power": "W",
}
"""Quantity -> a unit of its kind; quantities that are not here (numbers of cycles, dates, words) have none."""

DIRECTIONS: dict[str, int] = {
    "c": 1, "ch": 1, "chg": 1, "cha": 1, "charge": 1, "chrg": 1, "cc chg": 1, "cv chg": 1, "cccv chg": 1, "cc cv chg": 1,
    "cp chg": 1, "cc charge": 1, "cccv charge": 1, "cv charge": 1, "c cc": 1, "c cv": 1, "c cccv": 1,
    "恒流充电": 1, "恒压充电": 1, "恒流恒压充电": 1,
    "d": -1, "di": -1, "dis": -1, "dchg": -1, "dch": -1, "discharge": -1, "cc dchg": -1, "cv dchg": -1, "cccv dchg": -1,
    "cp dchg": -1, "cr dchg": -1, "cc discharge": -1, "cv discharge": -1, "d cc": -1, "d cv": -1, "d rate": -1,
    "恒流放电": -1, "恒压放电": -1, "恒功率放电": -1, "恒阻放电": -1,
    "r": 0, "rest": 0, "pause": 0, "pau": 0, "ocv": 0, "静置": 0, "搁置": 0,
}
"""Mode of a step, made plain -> direction of the current."""


@dataclass(frozen=True, eq=False)
class Dialect:
    """The tables of one program.

    columns : quantity -> plain names that it may have
    marks : plain names, or (with preamble) words of the lines above the table, that only this program writes
    units : quantity -> unit where the header states none
    day_first : how 03/04/2026 is meant; None where a file has to show it by a day above 12
    sample : line of names and a row of a small table, for the contract tests: header, then format of one row
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()
    preamble: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    day_first: bool | None = None
    sample: tuple[str, ...] = ()


_SI = {"time": "s", "step_time": "s", "potential": "V", "current": "ampere", "charging_capacity": "Ah",
       "discharging_capacity": "Ah", "capacity": "Ah", "net_capacity": "Ah", "energy_counter": "Wh", "charging_energy": "Wh",
       "discharging_energy": "Wh", "temperature": "degC"}

ARBIN = Dialect(
    "arbin",
    {"time": ("test time",), "step_time": ("step time",), "date": ("date time", "datetime"), "potential": ("voltage",),
     "current": ("current",), "cycle_number": ("cycle index", "cycle id"), "step_index": ("step index", "step id"),
     "charging_capacity": ("charge capacity",), "discharging_capacity": ("discharge capacity",),
     "charging_energy": ("charge energy",), "discharging_energy": ("discharge energy",), "record": ("data point",),
     "internal_resistance": ("internal resistance",), "temperature": ("aux temperature 1", "temperature"), "power": ("power",)},
    marks=("data point", "date time", "step index", "is fc data", "dv dt", "charge energy"), units=_SI, day_first=False,
    sample=("Data_Point,Date_Time,Test_Time(s),Step_Time(s),Cycle_Index,Step_Index,Current(A),Voltage(V),Charge_Capacity(Ah),"
            "Discharge_Capacity(Ah)",
            "{n},01/23/2026 12:00:{t:02.0f},{t},{t},1,1,0.001,0.1,{ah:.9g},0"))

MACCOR = Dialect(
    "maccor",
    {"time": ("testtime", "test time", "test", "tottime"), "step_time": ("steptime", "step time", "step"),
     "date": ("dpt time", "dpttime"),
     "potential": ("volts", "voltage", "volt"), "current": ("amps", "current", "amp"),
     "cycle_number": ("cyc#", "cycle c", "cycle p", "cycle", "cycle#"), "step_index": ("step", "step#"),
     "mode": ("state", "md", "mode"), "record": ("rec#", "rec", "record#"), "capacity": ("amp hr", "cap", "capacity"),
     "energy_counter": ("watt hr", "ener", "energy"), "internal_resistance": ("dcir", "acimp"),
     "temperature": ("temp 1", "temperature", "temp")},
    marks=("rec#", "cyc#", "dpt time", "cycle p", "cycle c", "es", "md", "amp hr"), units=_SI,
    preamble=("Today's Date", "Date of Test:"), day_first=False,
    sample=("Today's Date\t01/23/2026\nDate of Test:\t01/23/2026\tFilename:\texample.001",
            "Rec#\tCyc#\tStep\tTestTime\tStepTime\tAmp-hr\tWatt-hr\tAmps\tVolts\tState\tES\tDPt Time",
            "{n}\t0\t1\t  0d 00:00:{t:05.2f}\t  0d 00:00:{t:05.2f}\t{ah:.9f}\t0\t0.001\t0.1\tC\t1\t01/23/2026 12:00:{t:02.0f}"))

LANDT = Dialect(
    "landt",
    {"time": ("test time", "testtime", "test", "time"), "step_time": ("step time", "steptime", "step"),
     "date": ("date time iso string", "systime", "sys time", "dpt time", "date time"),
     "potential": ("voltage", "volts", "volt", "v"), "current": ("current", "amps", "amp", "i"),
     "cycle_number": ("cycle index", "cycle", "cycle#", "cycle no"), "step_index": ("step index", "step", "step#"),
     "mode": ("step name", "state", "mode", "stepstatus", "work mode", "workmode"),
     "record": ("record", "index", "channel index", "rec#", "record#"),
     "charging_capacity": ("charge capacity",), "discharging_capacity": ("discharge capacity",),
     "charging_energy": ("charge energy",), "discharging_energy": ("discharge energy",), "capacity": ("capacity",),
     "energy_counter": ("energy",), "temperature": ("temperature 1", "temperature")},
    marks=("testtime", "scapacity", "specap", "speccap", "systime", "sys time", "date time iso string", "channel index",
           "cycle no"),
    units={**_SI, "current": "mA", "capacity": "mAh"}, day_first=False,
    sample=("Record,Cycle-Index,Step-Index,TestTime/Sec.{{0}},StepTime/Sec.{{0}},Voltage/V,Current/mA,Capacity/mAh,SysTime",
            "{n},1,1,{t},{t},0.1,1,{mah:.9g},2026-01-23 12:00:{t:02.0f}"))

NEWARE = Dialect(
    "neware",
    {"time": ("total time", "test time", "totaltime", "cumulative time", "总时间", "测试时间"),
     "step_time": ("time", "relative time", "step time", "steptime", "state time", "时间", "相对时间", "步时间"),
     "date": ("date", "realtime", "real time", "absolute time", "datetime", "date time", "system time", "绝对时间",
              "系统时间", "日期"),
     "potential": ("voltage", "vol", "电压"), "current": ("current", "cur", "电流"),
     "cycle_number": ("cycle index", "cycle id", "cycle", "cycle no", "循环号", "循环", "循环序号"),
     "step_index": ("step index", "step id", "step number", "step", "steps", "step no", "工步号", "工步序号", "步次"),
     "mode": ("step type", "status", "step name", "state", "step status", "工步类型", "状态", "工步名称"),
     "record": ("datapoint", "record id", "record index", "record number", "record", "record no", "数据序号",
                "记录序号", "记录号"),
     "charging_capacity": ("chg cap", "chg capacity", "capacitance chg", "charge capacity", "cap chg", "充电容量"),
     "discharging_capacity": ("dchg cap", "dchg capacity", "capacitance dchg", "discharge capacity", "cap dchg", "放电容量"),
     "charging_energy": ("chg energy", "engy chg", "充电能量"), "discharging_energy": ("dchg energy", "engy dchg", "放电能量"),
     "capacity": ("capacity", "cap", "容量"), "energy_counter": ("energy", "engy", "能量"),
     "temperature": ("temperature", "t1", "温度"), "internal_resistance": ("contact resistance", "dcir")},
    marks=("datapoint", "step type", "chg cap", "dchg cap", "record id", "record index", "realtime", "capacitance chg",
           "jumpto",
           "step count", "cur", "工步号", "步次", "数据序号", "记录序号", "循环号", "绝对时间"),
    units=_SI,
    sample=("DataPoint,Cycle Index,Step Index,Step Type,Time,Total Time,Current(A),Voltage(V),Capacity(Ah),Chg. Cap.(Ah),"
            "DChg. Cap.(Ah),Date",
            "{n},1,1,CC Chg,00:00:{t:02.0f},00:00:{t:02.0f},0.001,0.1,{ah:.9f},{ah:.9f},0,2026-01-23 12:00:{t:02.0f}"))

BASYTEC = Dialect(
    "basytec",
    {"time": ("time",), "step_time": ("t step",), "date": ("datetime", "date"), "potential": ("u", "voltage", "u1"),
     "current": ("i", "current"),
     "cycle_number": ("cyc count", "cycle", "zyklus"), "step_index": ("line", "zeile"), "mode": ("command", "befehl"),
     "net_capacity": ("ah",), "charging_capacity": ("ah charge", "ah ch"), "discharging_capacity": ("ah discharge", "ah dis"),
     "step_capacity": ("ah step",), "energy_counter": ("wh",), "record": ("dataset",), "power": ("p",),
     "temperature": ("t1", "temp", "temperature")},
    marks=("ah step", "t set", "t cyc", "dataset", "cyc count"), preamble=("Basytec Battery Test System",),
    units={**_SI}, day_first=True,
    sample=("~Resultfile from Basytec Battery Test System\n~Start of Test: 23.01.2026 12:00:00\n~",
            "~Time[s]\tDataSet\tt-Step[s]\tLine\tCommand\tU[V]\tI[A]\tAh[Ah]\tAh-Step\tCyc-Count",
            "{t}\t{n}\t{t}\t3\tCharge\t0.1\t0.001\t{ah:.9g}\t{ah:.9g}\t1"))

NOVONIX = Dialect(
    "novonix",
    {"time": ("run time", "runtime", "test time", "testtime"), "step_time": ("step time", "steptime"),
     "date": ("date and time",), "potential": ("potential", "voltage", "cell voltage"), "current": ("current", "cell current"),
     "cycle_number": ("cycle number", "cycle", "cycle#"), "step_index": ("step number", "step#"), "mode": ("step type",),
     "net_capacity": ("capacity",), "energy_counter": ("energy",), "temperature": ("temperature",), "power": ("power",)},
    marks=("run time", "circuit temperature", "step position"), preamble=("Novonix", "[Summary]"),
    units={**_SI, "time": "hour", "step_time": "hour"}, day_first=False,
    sample=("[Summary]\nNovonix UHPC data file\nStarted: 2026-01-23 12:00:00\n[End Summary]\n[Data]",
            "Date and Time,Cycle Number,Step Type,Run Time (h),Step Time (h),Current (A),Potential (V),Capacity (Ah),"
            "Step Number",
            "2026-01-23 12:00:{t:02.0f},1,7,{h:.9g},{h:.9g},0.001,0.1,{ah:.9g},1"))

DIGATRON = Dialect(
    "digatron",
    {"time": ("program duration", "prog time", "program time"), "step_time": ("step time",), "date": ("timestamp",
                                                                                                      "time stamp"),
     "potential": ("voltage",), "current": ("current",), "cycle_number": ("cycle",), "step_index": ("step",),
     "mode": ("status",), "charging_capacity": ("ahcha",), "discharging_capacity": ("ahdch",), "net_capacity": ("ahbal",
                                                                                                                "ahaccu"),
     "energy_counter": ("whaccu",), "temperature": ("t1", "logtemp001"), "power": ("watt", "power")},
    marks=("ahaccu", "prog time", "program duration", "ahcha", "ahdch", "ahstep", "logtemp001"), units=_SI,
    sample=("Step,Status,Prog Time,Step Time,Cycle,Voltage,Current,AhAccu,Timestamp",
            "1,CHA,{t},{t},1,0.1,0.001,{ah:.9g},2026-01-23T12:00:{t:02.0f}"))

PEC = Dialect(
    "pec",
    {"time": ("total time",), "step_time": ("step time",), "date": ("real time", "test start time"), "potential": ("voltage",),
     "current": ("current",), "cycle_number": ("cycle",), "step_index": ("step",), "charging_capacity": ("charge capacity",),
     "discharging_capacity": ("discharge capacity",), "charging_energy": ("charge energy",),
     "discharging_energy": ("discharge energy",), "temperature": ("temperature",)},
    marks=("rack", "shelf", "position", "load", "testregime name", "reason code"), units=_SI,
    sample=("Test,Cell,Rack,Shelf,Position,Step,Cycle,Total_Time_Seconds,Step_Time_Seconds,Voltage_mV,Current_mA,"
            "Charge_Capacity_mAh,Discharge_Capacity_mAh",
            "1,1,1,1,1,1,1,{t},{t},100,1,{mah:.9g},0"))

IVIUM = Dialect(
    "ivium",
    {"time": ("time",), "potential": ("e",), "current": ("i",)}, units={"time": "s", "potential": "V", "current": "mA"},
    marks=("e",), sample=("time /s\tI /mA\tE /V", "{t}\t1\t0.1"))

BDF = Dialect(
    "bdf",
    {"time": ("test time",), "step_time": ("step time",), "date": ("unix time", "date time"), "potential": ("voltage",),
     "current": ("current",), "cycle_number": ("cycle count", "cycle index"), "step_index": ("step index", "step id",
                                                                                             "step count"),
     "mode": ("step type",), "record": ("record index",),
     "charging_capacity": ("charging capacity",), "discharging_capacity": ("discharging capacity",),
     "net_capacity": ("net capacity",),
     "charging_energy": ("charging energy",), "discharging_energy": ("discharging energy",), "energy_counter": ("net energy",),
     "temperature": ("ambient temperature",), "internal_resistance": ("internal resistance",), "power": ("power",)},
    marks=("charging capacity", "discharging capacity", "ambient temperature", "cycle count", "step count", "unix time",
           "net capacity", "test time"), units=_SI,
    sample=("Test Time / s,Voltage / V,Current / A,Cycle Count / 1,Step Index / 1,Charging Capacity / Ah,"
            "Discharging Capacity / Ah",
            "{t},0.1,0.001,1,1,{ah:.9g},0"))
"""Battery Data Format (Battery Data Alliance, Apache-2.0), in labels ("Test Time / s") and machine names
("test_time_second")."""

PLAIN = Dialect(
    "plain",
    {"time": ("test time", "total time", "elapsed time", "run time", "time elapsed", "time", "t", "zeit", "temps", "时间"),
     "step_time": ("step time",), "date": ("date", "datetime", "date time", "timestamp"),
     "potential": ("voltage", "potential", "cell voltage", "ewe", "ecell", "volts", "vf", "we 1 potential", "e", "u", "v",
                   "spannung"),
     "current": ("current", "cell current", "i", "im", "we 1 current", "amps", "strom"),
     "cycle_number": ("cycle", "cycle number", "cycle index", "cycle no"), "step_index": ("step", "step number", "step index",
                                                                                          "ns"),
     "mode": ("mode", "state", "status", "step type"), "record": ("record", "index", "point"),
     "charging_capacity": ("charge capacity", "charging capacity"),
     "discharging_capacity": ("discharge capacity", "discharging capacity"), "net_capacity": ("q qo",),
     "temperature": ("temperature", "temp", "t1")},
    units=_SI,
    sample=("Time (s),Potential (V),Current (mA),Charge capacity (mAh),Discharge capacity (mAh)", "{t},0.1,1,{mah:.9g},0"))
"""A table of no known program: taken only where time, potential and current all have units."""

DIALECTS = (BDF, ARBIN, MACCOR, LANDT, NEWARE, BASYTEC, NOVONIX, DIGATRON, PEC, IVIUM, PLAIN)
