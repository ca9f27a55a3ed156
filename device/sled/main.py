"""What MicroPython runs on a board after power-on."""

import board_esp32
import sled

if not board_esp32.prompt_wanted():
    sled.run(board_esp32.Esp32())
    board_esp32.start_into_prompt()
