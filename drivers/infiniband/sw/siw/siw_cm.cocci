// SPDX-License-Identifier: GPL-2.0
//
// The peer may send as soon as it has the MPA reply. The socket is given to the queue pair before
// the reply is sent: C does it afterwards, and what has come in between stays in the socket until
// more comes.

// rule receive deletes 4, adds 5
@receive@
expression cep, qp, rv, pdata, length, wait;
@@
+	if (wait)
+		siw_sk_assign_rtr_upcalls(cep);
+	else
+		siw_qp_socket_assoc(cep, qp);
	rv = siw_send_mpareqrep(cep, pdata, length);
	if (rv != 0)
		goto error;
-	if (wait) {
-		siw_sk_assign_rtr_upcalls(cep);
-	} else {
-		siw_qp_socket_assoc(cep, qp);
+	if (!wait) {
		rv = siw_cm_upcall(cep, IW_CM_EVENT_ESTABLISHED, 0);
		if (rv)
			goto error;
	}
