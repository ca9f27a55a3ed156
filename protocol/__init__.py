"""What device and hub share: records and their bytes, rules, tariff, papers. Pure; imports nothing of ours."""
