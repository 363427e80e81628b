# pitbox_fuzz(<name> <libraries>): tests/fuzz/<name>_fuzz.cpp with tests/fuzz/corpus/<name>/.
pitbox_fuzz(batch pitbox_proto)
pitbox_fuzz(definition pitbox_proto)
pitbox_fuzz(event pitbox_proto)
pitbox_fuzz(ring_attach pitbox_buffer)
pitbox_fuzz(journal_open pitbox_buffer)
pitbox_fuzz(native pitbox_ingest)
pitbox_fuzz(nmea pitbox_ingest)
pitbox_fuzz(room_frame pitbox_room spdlog::spdlog)
